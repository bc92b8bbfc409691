// The job's log in the store: one file that all checkpoints of a job share, and that grows by what was written between
// two of them. So a job can be resumed with its whole log on a machine that has only the store.
//
// Invariant: a checkpoint's part of the archive is never changed once the checkpoint is complete; a resume from an
// older one overwrites only what came after it.
//
// Thread-safety: free functions. Errors: kCorrupt where the archive is not what a checkpoint says.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"
#include "keeper/checkpoint_record.pb.h"

namespace baton {

inline constexpr uint64_t kLogChunk = uint64_t{4} << 20;

// Copies [previous.bytes, bytes) of `log` into `archive`, durably. `previous`: the log of the last checkpoint.
Result<pb::LogState> ArchiveLog(const std::string& log, uint64_t bytes, const pb::LogState& previous,
                                const std::string& archive);

// Whether the archive has all of it.
Result<> VerifyLog(const std::string& archive, const pb::LogState& state);

// Makes `log` be what it was: cuts it if it begins with the right bytes, else copies it from the archive.
Result<> RestoreLog(const std::string& archive, const pb::LogState& state, const std::string& log);

}  // namespace baton
