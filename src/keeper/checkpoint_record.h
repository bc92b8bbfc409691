// The record of one checkpoint of `baton run`, and the layout of its directory:
//
//   checkpoint-000012/job        what the job is, and what belongs to the checkpoint (checkpoint_record.proto)
//                     image/     the processes
//                     workspace  the files (--fs work)
//
// Thread-safety: free functions. Errors: kCorrupt for a damaged record, kNotSupported for one of a newer Baton.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"
#include "keeper/checkpoint_record.pb.h"

namespace baton {

// 2: jobs have ports and hooks.
inline constexpr uint32_t kCheckpointRecordVersion = 2;

inline std::string JobFile(const std::string& checkpoint) { return checkpoint + "/job"; }
inline std::string ImageDirectory(const std::string& checkpoint) { return checkpoint + "/image"; }
inline std::string WorkspaceFile(const std::string& checkpoint) { return checkpoint + "/workspace"; }

Result<> SaveCheckpointRecord(const std::string& checkpoint, const pb::CheckpointRecord& record);
Result<pb::CheckpointRecord> LoadCheckpointRecord(const std::string& checkpoint);

// Puts the digests of the image and the workspace into the record. REQUIRES: both are written.
Result<> NoteDigests(const std::string& checkpoint, pb::CheckpointRecord* record);
// kCorrupt where a part is not the one that the record was written with.
Result<> CheckDigests(const std::string& checkpoint, const pb::CheckpointRecord& record);

}  // namespace baton
