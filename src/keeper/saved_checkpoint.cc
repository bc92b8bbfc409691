#include "keeper/saved_checkpoint.h"

#include <algorithm>
#include <cerrno>
#include <ranges>
#include <thread>
#include <vector>

#include "keeper/checkpoint_record.h"
#include "keeper/log_archive.h"
#include "keeper/store_checkpointer.h"
#include "workspace/manifest.h"

namespace baton {
namespace {

// EIO is a disk that has lost it. Anything else may go over, and an older checkpoint would throw work away.
bool IsDamage(const Error& error) {
  return error.code() == ErrorCode::kCorrupt || error.code() == ErrorCode::kNotFound || error.saved_errno() == EIO;
}

}  // namespace

Result<SavedCheckpoint> LoadCheckpoint(const DirectoryStore& store, const std::string& store_dir,
                                       const std::string& job, uint64_t number) {
  const std::string path = store.CheckpointPath(job, number);
  SavedCheckpoint saved{.number = number, .record = {}, .image = nullptr, .workspace = {}};
  BATON_TRY(saved.record, LoadCheckpointRecord(path));
  if (saved.record.spec().name() != job || saved.record.note().number() != number) {
    return MakeError(ErrorCode::kCorrupt, "{} is checkpoint {} of '{}'", path, saved.record.note().number(),
                     saved.record.spec().name());
  }
  BATON_CHECKED(CheckDigests(path, saved.record));
  BATON_TRY(saved.image, ImageReader::Open(ImageDirectory(path)));
  BATON_CHECKED(saved.image->Verify(std::max(1U, std::thread::hardware_concurrency())));
  BATON_CHECKED(VerifyLog(LogArchive(store_dir, job), saved.record.log()));
  if (saved.record.spec().files() != pb::JobSpec::WORK) return saved;
  BATON_TRY(saved.workspace, LoadWorkspaceManifest(WorkspaceFile(path)));
  BATON_CHECKED(VerifyWorkspace(*saved.workspace, store.ObjectsPath(job)));
  return saved;
}

Result<SavedCheckpoint> LoadNewestGood(const std::string& store_dir, const std::string& job,
                                       const std::function<void(uint64_t number, const Error& why)>& on_damaged) {
  const DirectoryStore store(store_dir);
  BATON_TRY(const std::vector<uint64_t> numbers, store.List(job));
  for (const uint64_t number : std::views::reverse(numbers)) {
    auto saved = LoadCheckpoint(store, store_dir, job, number);
    if (saved) return saved;
    if (!IsDamage(saved.error())) return saved.Fail("checkpoint {}", number);
    on_damaged(number, saved.error());
  }
  return MakeError(ErrorCode::kCorrupt, "none of the {} checkpoints of '{}' in {} is whole", numbers.size(), job,
                   store_dir);
}

}  // namespace baton
