#include "keeper/checkpoint_record.h"

#include "base/file.h"
#include "image/framed_file.h"

namespace baton {
namespace {

constexpr std::string_view kMagic = "BATONJOB";

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
  if (record.version() != 1) {
    return MakeError(ErrorCode::kNotSupported, "{} has version {}; this Baton knows 1", path, record.version());
  }
  if (record.spec().argv().empty() || record.spec().name().empty()) {
    return MakeError(ErrorCode::kCorrupt, "{} names no job", path);
  }
  return record;
}

}  // namespace baton
