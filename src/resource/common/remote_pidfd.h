// A pidfd in a process of the unit or the holder, from which to fetch descriptors (pidfd_getfd(2)).
//
// Thread-safety: as the calls.
#pragma once

#include <sys/types.h>

#include "base/result.h"
#include "task/remote_syscalls.h"

namespace baton {

// Of a process, or of a thread with descriptors of its own (Linux 6.9). Its number there; the caller closes it.
Result<int64_t> OpenRemotePidfd(RemoteSyscalls& calls, pid_t ns_tid);

}  // namespace baton
