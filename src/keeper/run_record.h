// Runs on this machine: their records, and the lock that makes one keeper the only owner of a run.
//
// A record file is "BATONRUN", the FNV-1a hash of the rest (8 bytes, little endian; against damage, not against
// malice), and a serialised pb::RunRecord; it is replaced as a whole and durably. Thread-safety: RunLock is a plain
// owner; the rest are free functions. Errors: kNotFound for a run that is not there, kCorrupt for a damaged record,
// kConflict if another keeper holds the lock.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "keeper/paths.h"
#include "keeper/run_record.pb.h"

namespace baton {

// Held by the keeper from before it looks at the record until it ends; released by the kernel when it dies.
class RunLock {
 public:
  // Makes the run's directory if need be. kConflict, naming the owner if it is known, if it is held.
  static Result<RunLock> Take(const StatePaths& paths, const std::string& name);
  // Whether somebody holds it right now.
  static bool IsHeld(const StatePaths& paths, const std::string& name);

 private:
  explicit RunLock(UniqueFd file) : file_(std::move(file)) {}
  UniqueFd file_;
};

Result<> SaveRunRecord(const StatePaths& paths, const pb::RunRecord& record);
Result<pb::RunRecord> LoadRunRecord(const StatePaths& paths, const std::string& name);
// Names of all runs, sorted; empty if there is no state directory yet.
Result<std::vector<std::string>> ListRuns(const StatePaths& paths);

// What people are told: "running", "ended", "failed", or "interrupted" for a run that no keeper holds any more though
// its record says it runs.
std::string RunStateName(const StatePaths& paths, const pb::RunRecord& record);

// The run's bytes as they are on disk, and back; for tests and corruption checks.
std::string EncodeRunRecord(const pb::RunRecord& record);
Result<pb::RunRecord> DecodeRunRecord(const std::string& bytes);

}  // namespace baton
