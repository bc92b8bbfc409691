// System calls that give up with EINTR at any stop, ours too: epoll_wait, sigtimedwait, semtimedop, recv with a
// time-out (task/arch registers.h, Interrupted::kLeakedInterrupt). They are wound back to be made again with the time
// that is left, at once after the stop: so the program sees no EINTR of ours whatever becomes of the capture, or of us.
// Unless a signal really came, then and there or while the task stood still: then the EINTR is the program's own.
#pragma once

#include <sys/types.h>

#include "base/result.h"
#include "engine/native/frozen_task.h"

namespace baton {

// What the task slept in: as seen before the stop if that was the same call, else as its registers say.
PendingCall CallOf(const FrozenTask& task);

// REQUIRES: the task stands; `before` and `registers` are filled in. Fills in `interrupted` if it winds the call back.
// A time that cannot be put where the call would look for it leaves the EINTR. kTaskGone if the task died.
Result<> RewindBrokenOffCall(FrozenTask& task);

// Whether a signal waits for the task that will run a handler, end it or stop it.
bool SignalIsDue(pid_t tid);

}  // namespace baton
