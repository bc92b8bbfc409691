#include "keeper/checkpoint_record.h"

#include <span>

#include "base/file.h"
#include "image/digest.h"
#include "image/framed_file.h"

namespace baton {
namespace {

constexpr std::string_view kMagic = "BATONJOB";

Result<std::string> DigestOf(const std::string& path) {
  BATON_TRY(const std::string content, ReadFile(path));
  return Digest128(std::as_bytes(std::span(content)));
}

std::string ManifestOf(const std::string& checkpoint) { return ImageDirectory(checkpoint) + "/manifest"; }

Result<> Compare(const std::string& path, const std::string& expected) {
  BATON_TRY(const std::string digest, DigestOf(path));
  if (digest == expected) return {};
  return MakeError(ErrorCode::kCorrupt, "{} does not belong to this checkpoint", path);
}

}  // namespace

Result<> SaveCheckpointRecord(const std::string& checkpoint, const pb::CheckpointRecord& record) {
  BATON_TRY(const std::string bytes, FrameMessage(kMagic, record));
  return WriteFile(JobFile(checkpoint), bytes, 0600);
}

Result<pb::CheckpointRecord> LoadCheckpointRecord(const std::string& checkpoint) {
  const std::string path = JobFile(checkpoint);
  BATON_TRY(const std::string bytes, ReadFile(path));
  pb::CheckpointRecord record;
  BATON_CHECKED(ParseFramed(path, kMagic, bytes, record));
  if (record.version() < 1 || record.version() > kCheckpointRecordVersion) {
    return MakeError(ErrorCode::kNotSupported, "{} has version {}; this Baton knows up to {}", path, record.version(),
                     kCheckpointRecordVersion);
  }
  if (record.spec().argv().empty() || record.spec().name().empty()) {
    return MakeError(ErrorCode::kCorrupt, "{} names no job", path);
  }
  return record;
}

Result<> NoteDigests(const std::string& checkpoint, pb::CheckpointRecord* record) {
  BATON_TRY(*record->mutable_image_digest(), DigestOf(ManifestOf(checkpoint)));
  if (record->spec().files() != pb::JobSpec::WORK) return {};
  BATON_TRY(*record->mutable_workspace_digest(), DigestOf(WorkspaceFile(checkpoint)));
  return {};
}

Result<> CheckDigests(const std::string& checkpoint, const pb::CheckpointRecord& record) {
  BATON_CHECKED(Compare(ManifestOf(checkpoint), record.image_digest()));
  if (record.spec().files() != pb::JobSpec::WORK) return {};
  return Compare(WorkspaceFile(checkpoint), record.workspace_digest());
}

}  // namespace baton
