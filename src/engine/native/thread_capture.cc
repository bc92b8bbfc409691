#include "engine/native/thread_capture.h"

#include <elf.h>
#include <linux/prctl.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/fault.h"
#include "engine/native/aio.h"
#include "engine/native/interrupted_call.h"
#include "engine/native/io_priority.h"
#include "engine/native/process_controls.h"
#include "engine/native/sched_attributes.h"
#include "proc/process_files.h"
#include "task/ptrace.h"

namespace baton {
namespace {

constexpr size_t kMaxXstateBytes = 16384;  // AMX needs about 11 KiB
constexpr int kSignals = 64;
constexpr uint64_t kAskPersonality = 0xffffffff;

// As the kernel's struct kernel_sigaction.
struct KernelSigaction {
  uint64_t handler;
  uint64_t flags;
  uint64_t restorer;
  uint64_t mask;
};

std::string BytesOf(const void* data, size_t size) { return {static_cast<const char*>(data), size}; }

void AddSignals(const std::vector<siginfo_t>& signals, google::protobuf::RepeatedPtrField<std::string>* into) {
  for (const siginfo_t& info : signals) *into->Add() = BytesOf(&info, sizeof info);
}

Result<> CaptureRegisters(const FrozenTask& task, pb::ThreadRecord& record) {
  BATON_CHECKED(FailPoint("capture.registers"));
  record.set_registers(BytesOf(&task.registers.raw, sizeof task.registers.raw));
  BATON_TRY(const std::vector<std::byte> xstate, GetRegisterSet(task.tid, NT_X86_XSTATE, kMaxXstateBytes));
  record.set_extended(BytesOf(xstate.data(), xstate.size()));
  return {};
}

Result<> CaptureSignals(pid_t tid, pb::ThreadRecord& record) {
  BATON_CHECKED(FailPoint("capture.thread_signals"));
  BATON_TRY(const uint64_t mask, GetSignalMask(tid));
  record.set_signal_mask(mask);
  BATON_TRY(const std::vector<siginfo_t> pending, PeekSignals(tid, false));
  AddSignals(pending, record.mutable_pending());
  return {};
}

Result<> CaptureRseq(pid_t tid, pb::ThreadRecord& record) {
  auto rseq = GetRseqConfiguration(tid);
  if (!rseq) return {};  // before Linux 5.13
  record.set_rseq(rseq->rseq_abi_pointer);
  record.set_rseq_bytes(rseq->rseq_abi_size);
  record.set_rseq_signature(rseq->signature);
  return {};
}

Result<> CaptureRobustList(pid_t tid, pb::ThreadRecord& record) {
  void* head = nullptr;
  size_t length = 0;
  const long got = syscall(SYS_get_robust_list, tid, &head, &length);
  if (const int error = errno; got != 0) return ErrnoError(error, "robust list of task {}", tid);
  record.set_robust_list(reinterpret_cast<uint64_t>(head));
  record.set_robust_list_bytes(length);
  return {};
}

uint64_t UsualSliceNs() {
  SchedAttributes own;
  return syscall(SYS_sched_getattr, 0, &own, sizeof own, 0) == 0 ? own.runtime : 0;
}

Result<> CaptureScheduling(pid_t tid, pb::ThreadRecord& record) {
  SchedAttributes attributes;
  const long got = syscall(SYS_sched_getattr, tid, &attributes, sizeof attributes, 0);
  if (const int error = errno; got != 0) return ErrnoError(error, "scheduling of task {}", tid);
  record.set_policy(static_cast<int32_t>(attributes.policy));
  record.set_priority(static_cast<int32_t>(attributes.priority));
  record.set_nice(attributes.nice);
  // Every task shows a time slice; that of most is the usual one, which moves with the machine.
  if (attributes.policy == kSchedDeadline || attributes.runtime != UsualSliceNs()) {
    record.set_runtime_ns(attributes.runtime);
  }
  record.set_deadline_ns(attributes.deadline);
  record.set_period_ns(attributes.period);
  record.set_reset_on_fork(static_cast<uint32_t>(attributes.flags & kSchedFlagResetOnFork));
  uint8_t mask[1024] = {};
  const long bytes = syscall(SYS_sched_getaffinity, tid, sizeof mask, mask);
  if (const int error = errno; bytes < 0) return ErrnoError(error, "affinity of task {}", tid);
  record.set_affinity(BytesOf(mask, static_cast<size_t>(bytes)));
  const long io = syscall(SYS_ioprio_get, kIoPriorityWhoProcess, tid);
  record.set_io_priority(io < 0 ? 0 : static_cast<int32_t>(io));
  return {};
}

}  // namespace

Result<pb::ThreadRecord> CaptureThread(const FrozenProcess& process, const FrozenTask& task, CallMemory& memory) {
  pb::ThreadRecord record;
  BATON_CHECKED(CaptureSignals(task.tid, record));
  BATON_CHECKED(CaptureInterruptedCall(process.pid, task, record, memory));
  BATON_CHECKED(CaptureRegisters(task, record));
  BATON_CHECKED(CaptureRseq(task.tid, record));
  BATON_CHECKED(CaptureRobustList(task.tid, record));
  BATON_CHECKED(CaptureScheduling(task.tid, record));
  BATON_TRY(const std::string name, ReadComm(process.pid, task.tid));
  record.set_name(name);
  return record;
}

Result<pb::ThreadRecord> DescribeExitedLeader(pid_t pid) {
  BATON_TRY(const ProcStatus status, ReadStatus(pid));
  BATON_TRY(const ProcStat stat, ReadStat(pid, pid));
  pb::ThreadRecord record;
  record.set_tid(status.ns_tgid.empty() ? pid : status.ns_tgid.back());
  record.set_name(status.name);
  record.set_exited(true);
  record.set_exit_status(stat.exit_code);
  return record;
}

Result<> CaptureInsideThread(RemoteSyscalls& calls, pb::ThreadRecord& record) {
  BATON_CHECKED(FailPoint("capture.inside_thread"));
  calls.ResetArguments();
  BATON_TRY(const auto stack, calls.PutValue(stack_t{}));
  BATON_TRY(const auto tid_address, calls.PutValue(uint64_t{0}));
  BATON_TRY(const auto death_signal, calls.PutValue(uint64_t{0}));
  BATON_TRY(const auto tsc, calls.PutValue(uint64_t{PR_TSC_ENABLE}));
  RemoteCall batch[] = {{SYS_sigaltstack, {0, stack.value()}},
                        {SYS_prctl, {PR_GET_TID_ADDRESS, tid_address.value()}},
                        {SYS_prctl, {PR_GET_PDEATHSIG, death_signal.value()}},
                        {SYS_prctl, {PR_GET_TIMERSLACK}},
                        {SYS_prctl, {PR_GET_NO_NEW_PRIVS}},
                        {SYS_prctl, {PR_GET_TSC, tsc.value()}},
                        {SYS_prctl, {PR_MCE_KILL_GET}},
                        {SYS_personality, {kAskPersonality}}};
  BATON_CHECKED(calls.Run(batch));
  BATON_TRY(const stack_t altstack, calls.Get(stack));
  record.set_altstack(reinterpret_cast<uint64_t>(altstack.ss_sp));
  record.set_altstack_bytes(altstack.ss_size);
  record.set_altstack_flags(static_cast<uint32_t>(altstack.ss_flags));
  if (batch[1].result < 0) {
    return MakeError(ErrorCode::kNotSupported,
                     "this kernel cannot tell a thread's clear_child_tid (CONFIG_CHECKPOINT_RESTORE)");
  }
  BATON_TRY(const uint64_t clear_child_tid, calls.Get(tid_address));
  record.set_clear_child_tid(clear_child_tid);
  BATON_TRY(const uint64_t signal, calls.Get(death_signal));
  record.set_parent_death_signal(static_cast<int32_t>(signal));
  record.set_timer_slack_ns(static_cast<uint64_t>(batch[3].result));
  record.set_no_new_privs(batch[4].result == 1);
  record.set_mce_kill(static_cast<int32_t>(batch[6].result < 0 ? PR_MCE_KILL_DEFAULT : batch[6].result));
  record.set_personality(static_cast<uint32_t>(batch[7].result));
  BATON_TRY(const uint64_t tsc_mode, calls.Get(tsc));
  record.set_tsc_refused((tsc_mode & 0xffffffffU) == PR_TSC_SIGSEGV);
  return {};
}

namespace {

Result<> CaptureActions(RemoteSyscalls& calls, pb::ProcessRecord& record) {
  calls.ResetArguments();
  std::vector<RemoteCall> batch;
  BATON_TRY(const RemotePtr<> area, calls.Reserve(kSignals * sizeof(KernelSigaction)));
  const auto slot = [&](int signal) { return area.As<KernelSigaction>() + static_cast<uint64_t>(signal - 1); };
  for (int signal = 1; signal <= kSignals; ++signal) {
    if (signal == SIGKILL || signal == SIGSTOP) continue;
    batch.push_back({SYS_rt_sigaction, {static_cast<uint64_t>(signal), 0, slot(signal).value(), sizeof(uint64_t)}});
  }
  BATON_CHECKED(calls.Run(batch));
  for (const RemoteCall& call : batch) {
    BATON_TRY(const KernelSigaction action, calls.Get(RemotePtr<KernelSigaction>(call.arguments[2])));
    if (action.handler == 0 && action.flags == 0 && action.mask == 0) continue;
    pb::SignalActionRecord* out = record.add_actions();
    out->set_signal(static_cast<int32_t>(call.arguments[0]));
    out->set_handler(action.handler);
    out->set_flags(action.flags);
    out->set_restorer(action.restorer);
    out->set_mask(action.mask);
  }
  return {};
}

int64_t Microseconds(const timeval& time) { return time.tv_sec * 1'000'000 + time.tv_usec; }
int64_t Nanoseconds(const timespec& time) { return time.tv_sec * 1'000'000'000 + time.tv_nsec; }

Result<> CaptureIntervalTimers(RemoteSyscalls& calls, pb::ProcessRecord& record) {
  for (const int which : {ITIMER_REAL, ITIMER_VIRTUAL, ITIMER_PROF}) {
    calls.ResetArguments();
    BATON_TRY(const auto at, calls.PutValue(itimerval{}));
    BATON_CHECKED(calls.Do("getitimer", SYS_getitimer, which, at));
    BATON_TRY(const itimerval value, calls.Get(at));
    // The real timer stands at zero while its signal waits to be taken; only then it starts again.
    if (Microseconds(value.it_value) == 0 && Microseconds(value.it_interval) == 0) continue;
    pb::IntervalTimerRecord* out = record.add_interval_timers();
    out->set_which(which);
    out->set_interval_us(Microseconds(value.it_interval));
    out->set_value_us(Microseconds(value.it_value));
  }
  return {};
}

Result<> CaptureNotification(pid_t host_pid, const ProcTimer& timer, pb::PosixTimerRecord& out) {
  switch (timer.notify) {
    case ProcTimer::Notify::kNone:
      out.set_notify(SIGEV_NONE);
      break;
    case ProcTimer::Notify::kSignal:
      out.set_notify(SIGEV_SIGNAL);
      break;
    case ProcTimer::Notify::kThread:
      out.set_notify(SIGEV_THREAD);
      break;
  }
  if (!timer.to_thread) return {};
  out.set_notify(out.notify() | SIGEV_THREAD_ID);
  BATON_TRY(const ProcStatus thread, ReadStatus(host_pid, timer.target));
  out.set_target_tid(thread.ns_pid.empty() ? thread.pid : thread.ns_pid.back());
  return {};
}

Result<> CapturePosixTimers(RemoteSyscalls& calls, pid_t host_pid, pb::ProcessRecord& record) {
  auto timers = ReadTimers(host_pid);
  if (!timers) return {};  // a kernel without CONFIG_CHECKPOINT_RESTORE shows none
  for (const ProcTimer& timer : *timers) {
    calls.ResetArguments();
    BATON_TRY(const auto at, calls.PutValue(itimerspec{}));
    BATON_CHECKED(calls.Do("timer_gettime", SYS_timer_gettime, timer.id, at));
    BATON_TRY(const itimerspec value, calls.Get(at));
    BATON_TRY(const int64_t overrun, calls.Call(SYS_timer_getoverrun, timer.id));
    pb::PosixTimerRecord* out = record.add_posix_timers();
    out->set_id(timer.id);
    out->set_clock(timer.clock_id);
    BATON_CHECKED(CaptureNotification(host_pid, timer, *out));
    out->set_signal(timer.signal);
    out->set_value(timer.value);
    out->set_interval_ns(Nanoseconds(value.it_interval));
    out->set_remaining_ns(Nanoseconds(value.it_value));
    out->set_overrun(static_cast<int32_t>(std::max<int64_t>(0, overrun)));
  }
  return {};
}

}  // namespace

Result<> CaptureInsideProcess(RemoteSyscalls& calls, pid_t host_pid, pb::ProcessRecord& record) {
  BATON_CHECKED(FailPoint("capture.inside_process"));
  BATON_CHECKED(CaptureActions(calls, record));
  BATON_CHECKED(CaptureIntervalTimers(calls, record));
  BATON_CHECKED(CapturePosixTimers(calls, host_pid, record));
  BATON_CHECKED(CaptureAio(calls, record));
  return CaptureProcessControls(calls, record);
}

// The kernel does not show it, but our own scratch pages are locked then. Without MCL_ONFAULT a new page is there at
// once.
Result<> CaptureLocksOfFuture(RemoteSyscalls& calls, pid_t host_pid, const ProcStatus& before,
                              pb::ProcessRecord& record) {
  constexpr uint64_t kPageBytes = 4096;
  BATON_TRY(const ProcStatus now, ReadStatus(host_pid));
  if (now.vm_lck_kb.value_or(0) <= before.vm_lck_kb.value_or(0)) return {};
  calls.ResetArguments();
  BATON_TRY(const auto resident_at, calls.PutValue(uint8_t{0}));
  BATON_TRY(const int64_t page,
            calls.Do("mmap", SYS_mmap, 0, kPageBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  BATON_CHECKED(calls.Call(SYS_mincore, page, kPageBytes, resident_at));
  BATON_CHECKED(calls.Do("munmap", SYS_munmap, page, kPageBytes));
  BATON_TRY(const uint8_t resident, calls.Get(resident_at));
  record.set_locks_of_future((resident & 1U) != 0 ? MCL_FUTURE : MCL_FUTURE | MCL_ONFAULT);
  return {};
}

Result<> CaptureClocks(RemoteSyscalls& calls, pb::UnitRecord& record) {
  calls.ResetArguments();
  BATON_TRY(const RemotePtr<> area, calls.Reserve(3 * sizeof(timespec)));
  const RemotePtr<timespec> at = area.As<timespec>();
  RemoteCall batch[] = {{SYS_clock_gettime, {CLOCK_MONOTONIC, at.value()}},
                        {SYS_clock_gettime, {CLOCK_BOOTTIME, (at + 1).value()}},
                        {SYS_clock_gettime, {CLOCK_REALTIME, (at + 2).value()}}};
  BATON_CHECKED(calls.Run(batch));
  BATON_TRY(const timespec monotonic, calls.Get(at));
  BATON_TRY(const timespec boottime, calls.Get(at + 1));
  BATON_TRY(const timespec realtime, calls.Get(at + 2));
  record.set_monotonic_ns(Nanoseconds(monotonic));
  record.set_boottime_ns(Nanoseconds(boottime));
  record.set_realtime_ns(Nanoseconds(realtime));
  return {};
}

Result<BorrowedTask::Thread> DescribeForBorrowing(const ProcStatus& leader, const ProcStatus& thread,
                                                  const FrozenTask& task) {
  BorrowedTask::Thread out;
  out.tid = task.tid;
  out.registers = task.registers;
  out.healed = HealedRegisters(task.registers);
  BATON_TRY(out.signal_mask, GetSignalMask(task.tid));
  out.marker.ns_tgid = leader.ns_tgid.empty() ? leader.tgid : leader.ns_tgid.back();
  out.marker.ns_tid = thread.ns_pid.empty() ? thread.pid : thread.ns_pid.back();
  out.marker.signal = ChooseMarkerSignal(leader);
  return out;
}

}  // namespace baton
