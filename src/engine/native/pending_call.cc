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

std::optional<int64_t> SleptNs(pid_t pid, pid_t tid) {
  // exec_start is the scheduler's clock when the task last ran; ours, just now, is the same clock's present.
  const auto theirs = ReadSched(pid, tid);
  const auto ours = ReadSched(getpid(), gettid());
  if (!theirs || !ours) return std::nullopt;
  const auto then = theirs->Find("se.exec_start");
  const auto now = ours->Find("se.exec_start");
  if (!then || !now) return std::nullopt;
  return std::max<int64_t>(0, static_cast<int64_t>((*now - *then) * static_cast<double>(kNsPerMs)));
}

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

std::optional<PendingCall> LookAtPendingCall(pid_t pid, pid_t tid) {
  const auto seen = ReadSyscall(pid, tid);
  if (!seen || seen->running || seen->number < 0) return std::nullopt;
  if (seen->number != SYS_restart_syscall && !RelativeTimeout(seen->number, seen->args)) return std::nullopt;
  return PendingCall{seen->number, seen->args, SleptNs(pid, tid)};
}

Result<std::optional<int64_t>> RemainingNs(pid_t pid, const PendingCall& call) {
  const auto timeout = RelativeTimeout(call.number, call.arguments);
  if (!timeout) return std::nullopt;
  const uint64_t value = call.arguments[static_cast<size_t>(timeout->index)];
  int64_t total_ns = 0;
  if (timeout->form == TimeoutArgument::Form::kMilliseconds) {
    const auto milliseconds = static_cast<int>(value);
    if (milliseconds < 0) return std::nullopt;
    total_ns = milliseconds * kNsPerMs;
  } else {
    if (value == 0) return std::nullopt;
    BATON_TRY(const timespec time, ReadRemoteValue(pid, RemotePtr<timespec>(value)));
    total_ns = time.tv_sec * kNsPerSecond + time.tv_nsec;
  }
  return std::max<int64_t>(0, total_ns - call.slept_ns.value_or(0));
}

}  // namespace baton
