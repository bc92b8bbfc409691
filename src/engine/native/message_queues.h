// POSIX message queues that nobody has open: in an IPC namespace of its own they are the unit's all the same.
//
// Thread-safety: the tracer's thread.
#pragma once

#include <sys/types.h>

#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"

namespace baton {

// Every queue with a name in the IPC namespace of `pid`, open for reading; none if the namespace is ours. A kernel
// without message queues, or one that lets us look at none there, has none (said in the log).
Result<std::vector<UniqueFd>> OpenMessageQueues(pid_t pid);

}  // namespace baton
