// Putting a thread, and what belongs to its process, back in place: blank threads, driven call by call, until each
// stands with its own registers and signal mask, ready to be detached. The order of the functions is the order of the
// steps.
#pragma once

#include <cstdint>
#include <optional>

#include "base/result.h"
#include "engine/native/native.pb.h"
#include "task/blank_task.h"

namespace baton {

// Name, alternate stack, robust list, restartable sequences, scheduling.
Result<> RestoreInsideThread(BlankTask& thread, const pb::ThreadRecord& record);
// Signal actions, working directory, umask, limits, prctl values.
Result<> RestoreInsideProcess(BlankTask& leader, const pb::ProcessRecord& record);
// Starts again the system call the freeze interrupted, with the time that was left of it, so that the kernel holds it
// as it did. What the call gave: -ERESTART_RESTARTBLOCK, or its result if it ended at once. From here on nothing that
// sleeps may be called in the thread.
Result<int64_t> RearmInterruptedCall(BlankTask& thread, const pb::InterruptedCallRecord& interrupted);
// Interval and POSIX timers: they run from here on.
Result<> RestoreTimers(BlankTask& leader, const pb::ProcessRecord& record);
// Identity, capabilities, no_new_privs, parent-death signal.
Result<> RestoreCredentials(BlankTask& thread, const pb::ProcessRecord& process, const pb::ThreadRecord& record);
// Throws away what was queued while the unit was made (SIGCHLD), then queues what was pending.
Result<> DropPending(BlankTask& thread);
Result<> RestorePending(BlankTask& leader, const pb::ProcessRecord& process);
Result<> RestoreThreadPending(BlankTask& thread, const pb::ProcessRecord& process, const pb::ThreadRecord& record);
// Final registers and mask; parks the thread. `result`: of RearmInterruptedCall.
Result<> FinishThread(BlankTask& thread, const pb::ThreadRecord& record, std::optional<int64_t> result);

}  // namespace baton
