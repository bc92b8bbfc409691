#include "engine/native/pending_call.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>

#include "proc/process_files.h"
#include "task/remote_memory.h"

namespace baton {
namespace {

constexpr int64_t kNsPerMs = 1'000'000;
constexpr int64_t kNsPerSecond = 1'000'000'000;

std::optional<TimeoutArgument> FutexTimeout(const std::array<uint64_t, 6>& arguments) {
  const auto operation = static_cast<int>(arguments[1]) & FUTEX_CMD_MASK;
  if (operation != FUTEX_WAIT) return std::nullopt;  // the others take an absolute time
  return TimeoutArgument{3, TimeoutArgument::Form::kTimespec};
}

// Where a sleep that is broken off leaves what is left of it.
std::optional<uint64_t> LeftAt(const PendingCall& call) {
  uint64_t at = 0;
  if (call.number == SYS_nanosleep) at = call.arguments[1];
  if (call.number == SYS_clock_nanosleep) at = call.arguments[3];
  return at == 0 ? std::nullopt : std::optional(at);
}

int64_t Nanoseconds(const timespec& time) { return time.tv_sec * kNsPerSecond + time.tv_nsec; }

}  // namespace

std::optional<TimeoutArgument> RelativeTimeout(int64_t number, const std::array<uint64_t, 6>& arguments) {
  using Form = TimeoutArgument::Form;
  switch (number) {
    case SYS_nanosleep:
      return TimeoutArgument{0, Form::kTimespec};
    case SYS_clock_nanosleep:
      if ((arguments[1] & TIMER_ABSTIME) != 0) return std::nullopt;
      return TimeoutArgument{2, Form::kTimespec};
    case SYS_poll:
      return TimeoutArgument{2, Form::kMilliseconds};
    case SYS_epoll_wait:
    case SYS_epoll_pwait:
      return TimeoutArgument{3, Form::kMilliseconds};
    case SYS_epoll_pwait2:
      return TimeoutArgument{3, Form::kTimespec};
    case SYS_futex:
      return FutexTimeout(arguments);
    case SYS_rt_sigtimedwait:
      return TimeoutArgument{2, Form::kTimespec};
    case SYS_semtimedop:
      return TimeoutArgument{3, Form::kTimespec};
    case SYS_recvmmsg:
    case SYS_io_getevents:
      return TimeoutArgument{4, Form::kTimespec};
    default:
      return std::nullopt;  // ppoll, pselect6 and select write what is left themselves
  }
}

std::optional<PendingCall> LookAtPendingCall(pid_t pid, pid_t tid, SchedulerClock& clock) {
  const auto sleep = clock.Look(pid, tid);  // first: ForgetOtherSleep() notices all that comes after
  const auto seen = ReadSyscall(pid, tid);
  if (!seen || seen->running || seen->number < 0) return std::nullopt;
  if (seen->number != SYS_restart_syscall && !RelativeTimeout(seen->number, seen->args)) return std::nullopt;
  return PendingCall{seen->number, seen->args, sleep};
}

void ForgetOtherSleep(pid_t pid, pid_t tid, PendingCall& call) {
  if (!call.sleep) return;
  if (SchedulerClock::Switches(pid, tid) != call.sleep->switches + 1) call.sleep.reset();
}

Result<std::optional<int64_t>> RemainingNs(pid_t tid, const PendingCall& call) {
  const auto timeout = RelativeTimeout(call.number, call.arguments);
  if (!timeout) return std::nullopt;
  if (const auto at = LeftAt(call)) {
    BATON_TRY(const timespec left, ReadRemoteValue(tid, RemotePtr<timespec>(*at)));
    return Nanoseconds(left);
  }
  const uint64_t value = call.arguments[static_cast<size_t>(timeout->index)];
  int64_t total_ns = 0;
  if (timeout->form == TimeoutArgument::Form::kMilliseconds) {
    const auto milliseconds = static_cast<int>(value);
    if (milliseconds < 0) return std::nullopt;
    total_ns = milliseconds * kNsPerMs;
  } else {
    if (value == 0) return std::nullopt;
    BATON_TRY(const timespec time, ReadRemoteValue(tid, RemotePtr<timespec>(value)));
    total_ns = Nanoseconds(time);
  }
  return std::max<int64_t>(0, total_ns - (call.sleep ? call.sleep->slept_ns : 0));
}

}  // namespace baton
