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

// Throws away what was queued while the unit was made (SIGCHLD), then queues what was pending.
Result<> DropPending(BlankTask& thread);
Result<> RestorePending(BlankTask& leader, const pb::ProcessRecord& process);
Result<> RestoreThreadPending(BlankTask& thread, const pb::ProcessRecord& process, const pb::ThreadRecord& record);
// Final registers and mask; parks the thread. `result`: of RearmInterruptedCall.
Result<> FinishThread(BlankTask& thread, const pb::ThreadRecord& record, std::optional<int64_t> result);

}  // namespace baton
