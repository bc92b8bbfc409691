// Threads that wait in vfork(2), or in clone(2) with CLONE_VFORK, until their child has run another program or ended.
// Only death ends that wait sooner: such a thread cannot be stopped, and nobody can read its registers. Nearly all of
// these waits are over within milliseconds (posix_spawn(3), system(3)). Sources: kernel/fork.c wait_for_vfork_done(),
// proc(5) /proc/PID/syscall.
//
// Thread-safety: free functions.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <optional>
#include <vector>

#include "base/result.h"

namespace baton {

// The child that the thread waits for so, 0 if it cannot be told which; none: it does not.
std::optional<pid_t> VforkChild(pid_t pid, pid_t tid);

// Returns once no thread of the processes that `lister` gives waits so, or when `most` has passed. Stops nobody: one
// may begin right after.
Result<> AwaitVforks(const std::function<Result<std::vector<pid_t>>()>& lister, std::chrono::milliseconds most);

}  // namespace baton
