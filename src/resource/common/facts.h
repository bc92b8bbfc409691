// What can be learnt of an open file from outside, for the kinds to judge by (FdFacts in kind.h).
#pragma once

#include <sys/types.h>

#include "base/result.h"
#include "resource/kind.h"

namespace baton {

// The facts of descriptor `fd` of process `host_pid`, which must be stopped; `copy` is the same open file in our
// process, and is only borrowed. `id` and `users` are left to the caller. Sources: readlink and fdinfo under /proc/PID,
// fstat and fstatfs of the copy.
//
// Errors: as of ReadFdLink and ReadFdInfo; kIo if the copy cannot be looked at. A file system that knows no fstatfs
// leaves fs_magic 0. Thread-safe.
Result<FdFacts> GatherFacts(pid_t host_pid, int fd, int copy);

}  // namespace baton
