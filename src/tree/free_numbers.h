// Numbers for temporary tasks: high ones that nobody in the unit has. Internal to src/tree. Thread-safety: none.
#pragma once

#include <sys/types.h>

#include <set>
#include <utility>

#include "base/result.h"

namespace baton {

class FreeNumbers {
 public:
  explicit FreeNumbers(std::set<pid_t> used) : used_(std::move(used)) {}

  // Each only once. kNotSupported if there is none.
  Result<pid_t> Take() {
    while (next_ >= kLowest && used_.contains(next_)) --next_;
    if (next_ < kLowest) return MakeError(ErrorCode::kNotSupported, "no numbers are left for temporary processes");
    return next_--;
  }

 private:
  static constexpr pid_t kHighest = 32000;  // below the smallest usual pid_max, 32768
  static constexpr pid_t kLowest = 300;     // the kernel does not give lower ones a second time

  std::set<pid_t> used_;
  pid_t next_ = kHighest;
};

}  // namespace baton
