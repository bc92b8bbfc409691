#include "engine/native/freeze.h"

#include <linux/rseq.h>

#include <algorithm>
#include <csignal>

#include "base/fault.h"
#include "base/log.h"
#include "proc/process_files.h"
#include "task/ptrace.h"
#include "task/remote_memory.h"

namespace baton {
namespace {

constexpr int kStopTimeoutMs = 2000;
constexpr int kUnstickTimeoutMs = 10'000;

// rseq(2): a thread stopped inside a restartable sequence must go on at its abort handler. The kernel would see to that
// when it resumes the thread, but the first injected call makes it forget the sequence; so the abort is done here.
Result<> AbortRestartableSequence(pid_t pid, pid_t tid, Registers& registers) {
  auto configuration = GetRseqConfiguration(tid);
  if (!configuration || configuration->rseq_abi_pointer == 0) return {};
  const RemotePtr<uint64_t> at(configuration->rseq_abi_pointer + offsetof(struct rseq, rseq_cs));
  auto sequence_at = ReadRemoteValue(pid, at);
  if (!sequence_at || *sequence_at == 0) return {};
  auto sequence = ReadRemoteValue(pid, RemotePtr<rseq_cs>(*sequence_at));
  if (!sequence) return {};
  const uint64_t ip = registers.instruction().value();
  if (ip - sequence->start_ip < sequence->post_commit_offset) {
    registers.set_instruction(RemotePtr<>(sequence->abort_ip));
  }
  return {};
}

bool IsZombie(const ProcStat& stat) { return stat.state == 'Z' || stat.state == 'X'; }

// Who is in the way, for a seize that was refused.
Error RefusedSeize(pid_t pid, pid_t tid, Error error) {
  const auto status = ReadStatus(pid, tid);
  if (!status) return {ErrorCode::kTaskGone, fmt::format("task {} died", tid)};
  if (status->tracer_pid != 0) {
    return MakeError(ErrorCode::kNotSupported,
                     "process {} ({}) is traced by process {} (a debugger or strace?): end that first", pid,
                     status->name, status->tracer_pid);
  }
  if (status->state == 'Z') {
    return MakeError(ErrorCode::kNotSupported,
                     "process {} ({}): its first thread has ended while others run; that cannot be saved yet", pid,
                     status->name);
  }
  return std::move(error).Context("process {} ({}) may not be traced by this user", pid, status->name);
}

}  // namespace

Result<FrozenUnit> FrozenUnit::Stop(const Lister& lister) {
  FrozenUnit unit;
  for (bool found = true; found;) {
    BATON_TRY(const std::vector<pid_t> pids, lister());
    BATON_TRY(found, unit.StopNew(pids));
  }
  // Those that died while the others were being stopped.
  std::erase_if(unit.processes_, [](const FrozenProcess& process) { return !process.zombie && process.tasks.empty(); });
  if (unit.processes_.empty()) return MakeError(ErrorCode::kTaskGone, "no process is left");
  return unit;
}

Result<bool> FrozenUnit::StopNew(const std::vector<pid_t>& pids) {
  bool found = false;
  for (const pid_t pid : pids) {
    auto known = std::ranges::find(processes_, pid, &FrozenProcess::pid);
    const auto stat = ReadStat(pid);
    if (!stat) continue;
    if (known == processes_.end()) {
      known = processes_.insert(processes_.end(), FrozenProcess{pid, false, {}});
      found = true;
    }
    if (IsZombie(*stat) && stat->num_threads <= 1) {
      known->zombie = true;
      known->tasks.clear();
      continue;
    }
    BATON_TRY(const bool more, StopTasks(*known));
    found = found || more;
  }
  return found;
}

// Until a scan of the process' tasks shows none that does not stand.
Result<bool> FrozenUnit::StopTasks(FrozenProcess& process) {
  bool found = false;
  for (bool again = true; again;) {
    again = false;
    auto tids = ListTasks(process.pid);
    if (!tids) return found;  // gone
    std::ranges::sort(
        *tids, [&](pid_t a, pid_t b) { return (a == process.pid) != (b == process.pid) ? a == process.pid : a < b; });
    for (const pid_t tid : *tids) {
      if (std::ranges::find(process.tasks, tid, &FrozenTask::tid) != process.tasks.end()) continue;
      BATON_TRY(const bool stopped, StopTask(process, tid));
      again = again || stopped;
    }
    found = found || again;
  }
  return found;
}

Result<bool> FrozenUnit::StopTask(FrozenProcess& process, pid_t tid) {
  FrozenTask task;
  task.tid = tid;
  writes_.LetEnd(process.pid, tid);
  task.before = LookAtPendingCall(process.pid, tid, clock_);
  DiePoint();
  auto seized = Seize(tid, PTRACE_O_TRACESYSGOOD);
  if (!seized && seized.error().code() == ErrorCode::kTaskGone) return false;
  if (!seized) {
    Error refused = RefusedSeize(process.pid, tid, std::move(seized.error()));
    if (refused.code() == ErrorCode::kTaskGone) return false;
    return refused;
  }
  DiePoint();
  if (auto interrupted = Interrupt(tid); !interrupted) return false;
  while (true) {
    auto status = WaitFor(tid, kStopTimeoutMs);
    if (!status && status.error().code() == ErrorCode::kTaskGone) return false;
    if (!status) stuck_.push_back(tid);
    if (!status)
      return status.Fail("process {} does not stop (waiting for a vfork child, or in the kernel)", process.pid);
    if (status->Gone()) return false;
    if (status->EventStop()) {
      task.group_stopped = status->GroupStop();
      task.group_stop_signal = status->stop_signal();
      break;
    }
    // A signal on its way in: let it be delivered, the interrupt comes right behind.
    BATON_CHECKED(Continue(tid, status->event() == 0 ? status->stop_signal() : 0));
  }
  if (task.before) ForgetOtherSleep(process.pid, tid, *task.before);
  BATON_TRY(task.registers, GetRegisters(tid));
  BATON_CHECKED(AbortRestartableSequence(process.pid, tid, task.registers));
  process.tasks.push_back(std::move(task));
  DiePoint();
  return true;
}

Result<> FrozenUnit::Resume() {
  for (FrozenProcess& process : processes_) {
    for (FrozenTask& task : process.tasks) {
      if (task.thaw) {
        if (auto set = SetRegisters(task.tid, *task.thaw); !set) BATON_LOG(kDebug, "{}", set.error().ToString());
      }
      DiePoint();
      if (auto detached = Detach(task.tid); !detached) BATON_LOG(kDebug, "{}", detached.error().ToString());
    }
  }
  processes_.clear();
  writes_.RestoreSizes();
  // Those that would not stop: now that what they wait for runs again, they will, and can be let go.
  for (const pid_t tid : std::exchange(stuck_, {})) {
    const auto status = WaitFor(tid, kUnstickTimeoutMs);
    if (status && status->Stopped()) BATON_CHECKED(Detach(tid));
  }
  return {};
}

Result<> FrozenUnit::Kill() {
  for (const FrozenProcess& process : processes_) {
    if (kill(process.pid, SIGKILL) != 0) BATON_LOG(kDebug, "process {} is gone already", process.pid);
  }
  // Other threads first: the kernel reports a leader only after them.
  for (FrozenProcess& process : processes_) {
    for (size_t i = process.tasks.size(); i > 0; --i) {
      const pid_t tid = process.tasks[i - 1].tid;
      while (true) {
        const auto status = WaitFor(tid);
        if (!status || status->Gone()) break;
      }
    }
  }
  processes_.clear();
  return {};
}

FrozenUnit::~FrozenUnit() {
  if (auto resumed = Resume(); !resumed) BATON_LOG(kWarn, "{}", resumed.error().ToString());
}

}  // namespace baton
