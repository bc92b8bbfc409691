// JobLock: one keeper at a time writes the checkpoints of a job, also where several state directories or machines share
// a store. Held from before the keeper looks at the checkpoints until it ends; released by the kernel when it dies.
//
// It is the file ROOT/.lock-<job>, locked with flock(2), which tells who holds it ("process 12 on host a"). A file
// system without locks, and a store that cannot be written to, have none: nothing is refused there.
//
// Thread-safety: a plain owner. Errors: kConflict, naming the owner, if it is held.
#pragma once

#include <optional>
#include <string>

#include "base/result.h"
#include "base/unique_fd.h"

namespace baton {

class JobLock {
 public:
  // Makes `root` if need be.
  static Result<JobLock> Take(const std::string& root, const std::string& job);

 private:
  explicit JobLock(std::optional<UniqueFd> file) : file_(std::move(file)) {}
  std::optional<UniqueFd> file_;
};

}  // namespace baton
