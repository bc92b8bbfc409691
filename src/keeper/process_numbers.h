// Who has a process number now: before a tree is restored under its old numbers.
//
// Thread-safety: free functions.
#pragma once

#include <sys/types.h>

#include <vector>

#include "base/result.h"

namespace baton {

// kConflict naming the first of `numbers` that is in use in our pid namespace (as process, thread, process group or
// session) and its owner. What is free now may be taken a moment later: making the process is the last word.
Result<> CheckNumbersFree(const std::vector<pid_t>& numbers);

}  // namespace baton
