// A system call a task sleeps in, looked at before the freeze: its number, arguments and how long it has slept. Needed
// for calls whose remaining time the kernel keeps to itself (kernel.md: "remaining time").
// Sources: proc(5) /proc/PID/syscall, scheduler_clock.h.
#pragma once

#include <sys/types.h>

#include <array>
#include <cstdint>
#include <optional>

#include "base/result.h"
#include "engine/native/scheduler_clock.h"

namespace baton {

struct PendingCall {
  int64_t number = 0;
  std::array<uint64_t, 6> arguments{};
  std::optional<SchedulerClock::Sleep> sleep;  // none where the kernel does not tell
};

// How a timed system call says how long to wait.
struct TimeoutArgument {
  enum class Form { kMilliseconds, kTimespec, kTimeval };
  int index = 0;
  Form form = Form::kTimespec;
};

// The time-out argument of a call that waits for a *relative* time; none for others and for absolute times.
std::optional<TimeoutArgument> RelativeTimeout(int64_t number, const std::array<uint64_t, 6>& arguments);

// None if the task runs, or is not in a call with a relative time-out.
std::optional<PendingCall> LookAtPendingCall(pid_t pid, pid_t tid, SchedulerClock& clock);

// After the stop: forgets how long it slept if it slept anew, or ran, since the look.
void ForgetOtherSleep(pid_t pid, pid_t tid, PendingCall& call);

// After the stop: what is left of the time-out; none: for ever, or unknown.
Result<std::optional<int64_t>> RemainingNs(pid_t tid, const PendingCall& call);

}  // namespace baton
