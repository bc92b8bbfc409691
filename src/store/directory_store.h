// DirectoryStore: checkpoints in a directory: ROOT/<job>/checkpoint-<number>, each complete or not there at all; what
// checkpoints of a job share (file contents) is in ROOT/<job>/objects.
//
// Thread-safety: none; several processes may use one root, one per job.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "store/pending_directory.h"

namespace baton {

class DirectoryStore {
 public:
  // `root` absolute; it is made when the first checkpoint is.
  explicit DirectoryStore(std::string root) : root_(std::move(root)) {}

  // Numbers of the complete checkpoints, ascending. A job that the store does not know has none.
  Result<std::vector<uint64_t>> List(const std::string& job) const;
  std::string CheckpointPath(const std::string& job, uint64_t number) const;
  std::string ObjectsPath(const std::string& job) const;
  // Room for a new one. REQUIRES: higher than all before.
  Result<PendingDirectory> Begin(const std::string& job, uint64_t number) const;
  // Removes all but the newest `count` checkpoints, and what interrupted writers and removers left; the numbers that
  // are left. REQUIRES: count > 0, and no other writer of this job.
  Result<std::vector<uint64_t>> KeepNewest(const std::string& job, size_t count) const;
  // The same for all below `number`.
  Result<std::vector<uint64_t>> KeepFrom(const std::string& job, uint64_t number) const;

 private:
  std::string JobPath(const std::string& job) const { return root_ + "/" + job; }
  Result<> RemoveLeftOver(const std::string& job) const;

  std::string root_;
};

}  // namespace baton
