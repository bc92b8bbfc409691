#include "engine/native/thread_restore.h"

#include <elf.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "base/fault.h"
#include "base/log.h"
#include "engine/native/io_priority.h"
#include "engine/native/pending_call.h"
#include "engine/native/process_controls.h"
#include "engine/native/sched_attributes.h"
#include "proc/process_files.h"
#include "task/ptrace.h"

namespace baton {
namespace {

constexpr int64_t kNsPerSecond = 1'000'000'000;
constexpr int64_t kNsPerMs = 1'000'000;
constexpr size_t kMaskBytes = sizeof(uint64_t);
constexpr int kSignals = 64;

void WarnIfFailed(const RemoteCall& call, std::string_view what, pid_t tid) {
  if (call.result < 0)
    BATON_LOG(kWarn, "thread {}: {} could not be restored: {}", tid, what,
              strerrordesc_np(static_cast<int>(-call.result)));
}

Result<> RestoreScheduling(RemoteSyscalls& calls, const pb::ThreadRecord& record) {
  calls.ResetArguments();
  SchedAttributes attributes;
  attributes.policy = static_cast<uint32_t>(record.policy());
  attributes.priority = static_cast<uint32_t>(record.priority());
  attributes.nice = record.nice();
  attributes.flags = record.reset_on_fork();
  attributes.runtime = record.runtime_ns();
  attributes.deadline = record.deadline_ns();
  attributes.period = record.period_ns();
  BATON_TRY(const auto at, calls.PutValue(attributes));
  BATON_TRY(const RemotePtr<> mask, calls.Put(std::as_bytes(std::span(record.affinity()))));
  // In this order: a SCHED_DEADLINE task may not change its affinity.
  RemoteCall batch[] = {{SYS_sched_setaffinity, {0, record.affinity().size(), mask.value()}},
                        {SYS_sched_setattr, {0, at.value(), 0}},
                        {SYS_ioprio_set, {kIoPriorityWhoProcess, 0, static_cast<uint64_t>(record.io_priority())}}};
  BATON_CHECKED(calls.Run(std::span(batch).first(record.io_priority() == 0 ? 2 : 3)));
  WarnIfFailed(batch[1], "scheduling policy or nice value", record.tid());
  WarnIfFailed(batch[0], "CPU affinity", record.tid());
  WarnIfFailed(batch[2], "I/O priority", record.tid());
  return {};
}

Result<> RestoreRseq(RemoteSyscalls& calls, const pb::ThreadRecord& record) {
  if (record.rseq() == 0) return {};
  BATON_CHECKED(calls.Do("register restartable sequences", SYS_rseq, record.rseq(), record.rseq_bytes(), 0,
                         record.rseq_signature()));
  return {};
}

Result<> RestoreAltStack(RemoteSyscalls& calls, const pb::ThreadRecord& record) {
  calls.ResetArguments();
  stack_t stack{};
  stack.ss_sp = reinterpret_cast<void*>(record.altstack());
  stack.ss_size = record.altstack_bytes();
  stack.ss_flags = static_cast<int>(record.altstack_flags() & ~static_cast<uint32_t>(SS_ONSTACK));
  BATON_TRY(const auto at, calls.PutValue(stack));
  BATON_CHECKED(calls.Do("set the alternate stack", SYS_sigaltstack, at, 0));
  return {};
}

}  // namespace

Result<> RestoreInsideThread(BlankTask& thread, const pb::ThreadRecord& record) {
  BATON_CHECKED(FailPoint("restore.inside_thread"));
  RemoteSyscalls& calls = thread.calls();
  calls.ResetArguments();
  BATON_TRY(const RemotePtr<> name, calls.PutString(record.name()));
  BATON_CHECKED(calls.Do("set the thread's name", SYS_prctl, PR_SET_NAME, name));
  if (record.exited()) return {};
  BATON_CHECKED(calls.Do("set_tid_address", SYS_set_tid_address, record.clear_child_tid()));
  if (record.robust_list() != 0) {
    BATON_CHECKED(
        calls.Do("set the robust list", SYS_set_robust_list, record.robust_list(), record.robust_list_bytes()));
  }
  BATON_CHECKED(RestoreRseq(calls, record));
  BATON_CHECKED(RestoreAltStack(calls, record));
  BATON_CHECKED(calls.Do("set the timer slack", SYS_prctl, PR_SET_TIMERSLACK, record.timer_slack_ns()));
  BATON_CHECKED(calls.Do("personality", SYS_personality, record.personality()));
  if (record.mce_kill() != PR_MCE_KILL_DEFAULT) {
    BATON_CHECKED(calls.Do("PR_MCE_KILL", SYS_prctl, PR_MCE_KILL, PR_MCE_KILL_SET, record.mce_kill(), 0, 0));
  }
  if (record.tsc_refused()) BATON_CHECKED(calls.Do("PR_SET_TSC", SYS_prctl, PR_SET_TSC, PR_TSC_SIGSEGV));
  return RestoreScheduling(calls, record);
}

Result<> RestoreActions(BlankTask& leader, const pb::ProcessRecord& record) {
  BATON_CHECKED(FailPoint("restore.actions"));
  RemoteSyscalls& calls = leader.calls();
  calls.ResetArguments();
  // The record leaves out what is as in a new process; what the stub inherited from us need not be.
  std::map<int, std::array<uint64_t, 4>> actions;
  for (int signal = 1; signal <= kSignals; ++signal) {
    if (signal != SIGKILL && signal != SIGSTOP) actions[signal] = {};
  }
  for (const pb::SignalActionRecord& action : record.actions()) {
    actions[action.signal()] = {action.handler(), action.flags(), action.restorer(), action.mask()};
  }
  std::vector<RemoteCall> batch;
  for (const auto& [signal, words] : actions) {
    BATON_TRY(const RemotePtr<> at, calls.Put(std::as_bytes(std::span(words))));
    batch.push_back({SYS_rt_sigaction, {static_cast<uint64_t>(signal), at.value(), 0, kMaskBytes}});
  }
  BATON_CHECKED(calls.Run(batch));
  for (const RemoteCall& call : batch) {
    if (call.result != 0)
      return ErrnoError(static_cast<int>(-call.result), "set the action of signal {}", call.arguments[0]);
  }
  return {};
}

namespace {

template <typename Record>
Result<> EnterDirectories(RemoteSyscalls& calls, const Record& record) {
  BATON_CHECKED(FailPoint("restore.directories"));
  calls.ResetArguments();
  if (record.removed_cwd() == 0) {
    BATON_TRY(const RemotePtr<> cwd, calls.PutString(record.cwd()));
    BATON_CHECKED(calls.Do("change to " + record.cwd(), SYS_chdir, cwd));
  }
  if (!record.root().empty()) {
    BATON_TRY(const RemotePtr<> root, calls.PutString(record.root()));
    BATON_CHECKED(calls.Do("change root to " + record.root(), SYS_chroot, root));
  }
  BATON_CHECKED(calls.Do("umask", SYS_umask, record.umask()));
  return {};
}

// Hard limits only go down without privilege: where the machine's own is lower, that is what the process gets.
Result<> RestoreLimits(RemoteSyscalls& calls, const pb::ProcessRecord& record) {
  BATON_CHECKED(FailPoint("restore.limits"));
  for (const pb::LimitRecord& limit : record.limits()) {
    calls.ResetArguments();
    const uint64_t wanted[] = {limit.soft(), limit.hard()};
    BATON_TRY(const RemotePtr<> at, calls.Put(std::as_bytes(std::span(wanted))));
    BATON_TRY(const int64_t set, calls.Call(SYS_prlimit64, 0, limit.resource(), at, 0));
    if (set == 0) continue;
    BATON_TRY(const auto old_at, calls.PutValue(std::array<uint64_t, 2>{}));
    BATON_CHECKED(calls.Do("read a limit", SYS_prlimit64, 0, limit.resource(), 0, old_at));
    BATON_TRY(const auto old, calls.Get(old_at));
    const std::array<uint64_t, 2> possible{std::min(wanted[0], old[1]), old[1]};
    BATON_TRY(const auto possible_at, calls.PutValue(possible));
    BATON_CHECKED(calls.Do("set a limit", SYS_prlimit64, 0, limit.resource(), possible_at, 0));
    BATON_LOG(kWarn, "process {}: hard limit {} stays at {} instead of {}", record.pid(), limit.resource(), old[1],
              wanted[1]);
  }
  return {};
}

itimerspec TimerValue(const pb::PosixTimerRecord& timer) {
  itimerspec value{};
  value.it_interval = {timer.interval_ns() / kNsPerSecond, timer.interval_ns() % kNsPerSecond};
  value.it_value = {timer.remaining_ns() / kNsPerSecond, timer.remaining_ns() % kNsPerSecond};
  return value;
}

// Linux 6.15 lets the caller choose the id; before, ids count up, and we create and delete until the right one comes.
class TimerMaker {
 public:
  explicit TimerMaker(RemoteSyscalls& calls) : calls_(calls) {}

  Result<> Make(const pb::PosixTimerRecord& timer) {
    constexpr int kPrSetTimerRestoreIds = 77;  // PR_TIMER_CREATE_RESTORE_IDS
    BATON_TRY(const int64_t chosen, calls_.Call(SYS_prctl, kPrSetTimerRestoreIds, 1));
    for (int attempt = 0; attempt < kMaxAttempts; ++attempt) {
      BATON_TRY(const int id, Create(timer));
      if (id == timer.id()) break;
      if (chosen == 0 || id > timer.id()) {
        return MakeError(ErrorCode::kConflict, "POSIX timer {} became {} instead", timer.id(), id);
      }
      BATON_CHECKED(calls_.Do("timer_delete", SYS_timer_delete, id));
    }
    if (chosen == 0) BATON_CHECKED(calls_.Call(SYS_prctl, kPrSetTimerRestoreIds, 0));
    if (timer.remaining_ns() == 0) return {};
    BATON_TRY(const auto value, calls_.PutValue(TimerValue(timer)));
    BATON_CHECKED(calls_.Do("timer_settime", SYS_timer_settime, timer.id(), 0, value, 0));
    return {};
  }

 private:
  static constexpr int kMaxAttempts = 100'000;

  Result<int> Create(const pb::PosixTimerRecord& timer) {
    calls_.ResetArguments();
    sigevent event{};
    event.sigev_notify = timer.notify();
    event.sigev_signo = timer.signal();
    event.sigev_value.sival_ptr = reinterpret_cast<void*>(timer.value());
    if ((timer.notify() & SIGEV_THREAD_ID) != 0) event._sigev_un._tid = timer.target_tid();
    BATON_TRY(const auto event_at, calls_.PutValue(event));
    BATON_TRY(const auto id_at, calls_.PutValue(timer.id()));
    BATON_CHECKED(calls_.Do("timer_create", SYS_timer_create, timer.clock(), event_at, id_at));
    return calls_.Get(id_at);
  }

  RemoteSyscalls& calls_;
};

int64_t ValueToSetUs(const pb::IntervalTimerRecord& timer) {
  constexpr int64_t kNsPerUs = 1000;
  if (timer.value_us() == 0) return timer.interval_us();
  if (timer.which() == ITIMER_REAL) return timer.value_us();
  // kernel/time/itimer.c set_cpu_itimer() adds a tick.
  timespec tick{};
  clock_getres(CLOCK_MONOTONIC_COARSE, &tick);
  return std::max<int64_t>(1, timer.value_us() - tick.tv_nsec / kNsPerUs);
}

Result<> RestoreIntervalTimers(RemoteSyscalls& calls, const pb::ProcessRecord& record) {
  constexpr int64_t kUsPerSecond = 1'000'000;
  for (const pb::IntervalTimerRecord& timer : record.interval_timers()) {
    calls.ResetArguments();
    const int64_t value_us = ValueToSetUs(timer);
    itimerval value{};
    value.it_interval = {timer.interval_us() / kUsPerSecond, timer.interval_us() % kUsPerSecond};
    value.it_value = {value_us / kUsPerSecond, value_us % kUsPerSecond};
    BATON_TRY(const auto at, calls.PutValue(value));
    BATON_CHECKED(calls.Do("setitimer", SYS_setitimer, timer.which(), at, 0));
  }
  return {};
}

void RestoreOomScore(pid_t host_pid, const pb::ProcessRecord& record) {
  const auto now = ReadProcessFile(host_pid, "oom_score_adj");
  if (!now || std::atoi(now->c_str()) == record.oom_score_adj()) return;
  if (auto set = WriteProcessFile(host_pid, "oom_score_adj", std::to_string(record.oom_score_adj())); !set) {
    BATON_LOG(kWarn, "process {}: oom_score_adj: {}", record.pid(), set.error().ToString());
  }
}

void RestoreCoredumpFilter(pid_t host_pid, const pb::ProcessRecord& record) {
  const auto now = ReadProcessFile(host_pid, "coredump_filter");
  if (!now || std::strtoul(now->c_str(), nullptr, 16) == record.coredump_filter()) return;
  auto set = WriteProcessFile(host_pid, "coredump_filter", fmt::format("{:#x}", record.coredump_filter()));
  if (!set) BATON_LOG(kWarn, "process {}: coredump_filter: {}", record.pid(), set.error().ToString());
}

}  // namespace

Result<> RestoreDirectories(BlankTask& task, const pb::ProcessRecord& record) {
  return EnterDirectories(task.calls(), record);
}
Result<> RestoreDirectories(BlankTask& task, const pb::ApartThreadRecord& record) {
  return EnterDirectories(task.calls(), record);
}

// Only the task itself may set it; threads made later have it too.
Result<> RestoreLoginUid(BlankTask& leader, const pb::ProcessRecord& record) {
  const auto now = ReadProcessFile(leader.host_pid(), "loginuid");
  if (!record.has_login_uid() || !now || std::strtoul(now->c_str(), nullptr, 10) == record.login_uid()) return {};
  RemoteSyscalls& calls = leader.calls();
  calls.ResetArguments();
  BATON_TRY(const RemotePtr<> path, calls.PutString("/proc/self/loginuid"));
  const std::string text = std::to_string(record.login_uid());
  BATON_TRY(const RemotePtr<> value, calls.PutString(text));
  BATON_TRY(const int64_t fd, calls.Call(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CLOEXEC, 0));
  BATON_TRY(const int64_t written, calls.Call(SYS_write, fd, value, text.size()));
  if (fd >= 0) BATON_CHECKED(calls.Do("close", SYS_close, fd));
  if (written < 0) BATON_LOG(kWarn, "process {}: loginuid stays as it is here", record.pid());
  return {};
}

Result<> RestoreInsideProcess(BlankTask& leader, const pb::ProcessRecord& record) {
  RemoteSyscalls& calls = leader.calls();
  RestoreOomScore(leader.host_pid(), record);
  RestoreCoredumpFilter(leader.host_pid(), record);
  BATON_CHECKED(RestoreLimits(calls, record));
  if (record.locks_of_future() != 0) {
    BATON_CHECKED(calls.Do("mlockall", SYS_mlockall, record.locks_of_future()));
  }
  return RestoreProcessControls(calls, record);
}

Result<> RestoreTimers(BlankTask& leader, const pb::ProcessRecord& record) {
  BATON_CHECKED(FailPoint("restore.timers"));
  BATON_CHECKED(RestoreIntervalTimers(leader.calls(), record));
  TimerMaker maker(leader.calls());
  for (const pb::PosixTimerRecord& timer : record.posix_timers()) BATON_CHECKED(maker.Make(timer));
  return {};
}

Result<> DropPending(BlankTask& thread) {
  RemoteSyscalls& calls = thread.calls();
  calls.ResetArguments();
  BATON_TRY(const auto all, calls.PutValue(~uint64_t{0}));
  BATON_TRY(const auto now, calls.PutValue(timespec{}));
  while (true) {
    BATON_TRY(const int64_t got, calls.Call(SYS_rt_sigtimedwait, all, 0, now, kMaskBytes));
    if (got <= 0) return {};
  }
}

Result<> RestorePending(BlankTask& leader, const pb::ProcessRecord& process) {
  RemoteSyscalls& calls = leader.calls();
  for (const std::string& info : process.pending()) {
    calls.ResetArguments();
    BATON_TRY(const RemotePtr<> at, calls.Put(std::as_bytes(std::span(info))));
    siginfo_t parsed;
    std::memcpy(&parsed, info.data(), sizeof parsed);
    BATON_CHECKED(calls.Do("queue a pending signal", SYS_rt_sigqueueinfo, process.pid(), parsed.si_signo, at));
  }
  return {};
}

Result<> RestoreThreadPending(BlankTask& thread, const pb::ProcessRecord& process, const pb::ThreadRecord& record) {
  RemoteSyscalls& calls = thread.calls();
  for (const std::string& info : record.pending()) {
    calls.ResetArguments();
    BATON_TRY(const RemotePtr<> at, calls.Put(std::as_bytes(std::span(info))));
    siginfo_t parsed;
    std::memcpy(&parsed, info.data(), sizeof parsed);
    BATON_CHECKED(
        calls.Do("queue a pending signal", SYS_rt_tgsigqueueinfo, process.pid(), record.tid(), parsed.si_signo, at));
  }
  return {};
}

namespace {

// The arguments with the time-out replaced by what was left of it; a time passed by address lies in the boot area.
Result<RemoteCall> WithTimeLeft(RemoteSyscalls& calls, const pb::InterruptedCallRecord& interrupted) {
  std::array<uint64_t, 6> arguments{};
  std::copy(interrupted.arguments().begin(), interrupted.arguments().end(), arguments.begin());
  const auto timeout = RelativeTimeout(interrupted.number(), arguments);
  if (timeout && interrupted.timed()) {
    const int64_t left = interrupted.remaining_ns();
    uint64_t& argument = arguments[static_cast<size_t>(timeout->index)];
    if (timeout->form == TimeoutArgument::Form::kMilliseconds) {
      argument = static_cast<uint64_t>((left + kNsPerMs - 1) / kNsPerMs);
    } else {
      BATON_TRY(const auto at, calls.PutValue(timespec{left / kNsPerSecond, left % kNsPerSecond}));
      argument = at.value();
    }
  }
  RemoteCall call{static_cast<uint64_t>(interrupted.number())};
  std::ranges::copy(arguments, call.arguments);
  return call;
}

}  // namespace

// The call is entered with our interrupt already waiting, so it gives up at once, leaving a restart block in the
// kernel.
Result<int64_t> RearmInterruptedCall(BlankTask& thread, const pb::InterruptedCallRecord& interrupted) {
  BATON_CHECKED(FailPoint("restore.rearm"));
  RemoteSyscalls& calls = thread.calls();
  calls.ResetArguments();
  BATON_TRY(const RemoteCall call, WithTimeLeft(calls, interrupted));
  BATON_CHECKED(SetRegisters(thread.host_tid(),
                             EnterSingle(thread.base(), calls.site().code, calls.site().stub, call, thread.marker())));
  BATON_CHECKED(ContinueToSystemCall(thread.host_tid()));
  BATON_TRY(const WaitStatus entry, WaitFor(thread.host_tid()));
  if (entry.Gone()) return MakeError(ErrorCode::kTaskGone, "thread {} died", thread.ns_tid());
  BATON_CHECKED(Interrupt(thread.host_tid()));
  BATON_CHECKED(Continue(thread.host_tid()));
  BATON_TRY(const WaitStatus stop, WaitFor(thread.host_tid()));
  if (!stop.EventStop())
    return MakeError(ErrorCode::kInternal, "thread {}: status {:#x} after a rearm", thread.ns_tid(), stop.raw());
  BATON_TRY(const Registers registers, GetRegisters(thread.host_tid()));
  return registers.result();
}

Result<> FinishThread(BlankTask& thread, const pb::ThreadRecord& record, std::optional<int64_t> result) {
  BATON_CHECKED(FailPoint("restore.registers"));
  Registers registers;
  std::memcpy(&registers.raw, record.registers().data(), sizeof registers.raw);
  if (result) registers.SetResult(record.interrupted().number(), *result);
  BATON_CHECKED(SetRegisterSet(thread.host_tid(), NT_X86_XSTATE, std::as_bytes(std::span(record.extended()))));
  BATON_CHECKED(SetRegisters(thread.host_tid(), registers));
  BATON_CHECKED(SetSignalMask(thread.host_tid(), record.signal_mask()));
  BATON_CHECKED(Interrupt(thread.host_tid()));
  BATON_CHECKED(Continue(thread.host_tid()));
  while (true) {
    BATON_TRY(const WaitStatus status, WaitFor(thread.host_tid()));
    if (status.Gone()) return MakeError(ErrorCode::kTaskGone, "thread {} died", thread.ns_tid());
    if (status.EventStop()) return {};
    BATON_CHECKED(Continue(thread.host_tid()));
  }
}

}  // namespace baton
