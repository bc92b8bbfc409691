// All processes below one that we made: a capsule's init. Sure only while none of them can make others.
//
// Thread-safety: free functions. Who ends meanwhile is left out.
#pragma once

#include <sys/types.h>

#include <set>

namespace baton {

std::set<pid_t> ProcessesBelow(pid_t init_pid);

// Of processes that the calling thread traces and that stand still: they are killed, before another step, should this
// thread end. Without it the kernel would let them go on for the moment until their init is gone, too.
// Letting go of them by the rules undoes it.
void DieWithTracer(pid_t init_pid);

// SIGKILL to all of them, which a process that stands still takes before another step, too.
void KillBelow(pid_t init_pid);

}  // namespace baton
