// One task stopped for a capture, and let go again. Functions without state; only from the tracer's thread.
#pragma once

#include <sys/types.h>

#include "base/result.h"
#include "engine/native/frozen_task.h"

namespace baton {

enum class StopOutcome {
  kStopped,
  kGone,          // it died, or is about to: look again
  kExitedLeader,  // the first thread of a process whose other threads may go on
  kInVfork,       // seized; it will stand as soon as its vfork child has run another program or ended
};

// Seizes task.tid and waits until it stands; fills in the rest of `task`. Whatever is returned, LetGo(task.tid) is owed
// unless the outcome is kGone or kExitedLeader.
// kUnavailable if it does not stand in time (an uninterruptible wait); kNotSupported if somebody else
// traces it or we may not.
Result<StopOutcome> StopTask(pid_t pid, FrozenTask& task, SchedulerClock& clock);

// Whether it still stands as StopTask left it.
bool StandsUnchanged(const FrozenTask& task);

// With task.registers, or with the EINTR that is due now. Also for a task that died or never stood: then what it may
// still have to tell its tracer is taken, else its parent would never hear of its death.
void LetGo(const FrozenTask& task);

}  // namespace baton
