#include "engine/native/stop_task.h"

#include <linux/rseq.h>
#include <time.h>
#include <unistd.h>

#include <cstring>
#include <optional>
#include <utility>
#include <vector>

#include "base/log.h"
#include "engine/native/broken_off_call.h"
#include "engine/native/vfork_wait.h"
#include "proc/process_files.h"
#include "task/arch/x86_64/stub_code.h"
#include "task/ptrace.h"
#include "task/remote_memory.h"

namespace baton {
namespace {

constexpr int kStopTimeoutMs = 2000;
constexpr int kVforkLookMs = 10;
constexpr int kLetGoTimeoutMs = 200;
constexpr int kHealingAttempts = 1000;
constexpr timespec kNap{0, 100'000};

// rseq(2): a thread stopped inside a restartable sequence must go on at its abort handler. The kernel would see to that
// when it resumes the thread, but the first injected call makes it forget the sequence; so the abort is done here.
Result<> AbortRestartableSequence(FrozenTask& task) {
  auto configuration = GetRseqConfiguration(task.tid);
  if (!configuration || configuration->rseq_abi_pointer == 0) return {};
  const RemotePtr<uint64_t> at(configuration->rseq_abi_pointer + offsetof(struct rseq, rseq_cs));
  auto sequence_at = ReadRemoteValue(task.tid, at);
  if (!sequence_at || *sequence_at == 0) return {};
  auto sequence = ReadRemoteValue(task.tid, RemotePtr<rseq_cs>(*sequence_at));
  if (!sequence) return {};
  const uint64_t ip = task.registers.instruction().value();
  if (ip - sequence->start_ip >= sequence->post_commit_offset) return {};
  task.registers.set_instruction(RemotePtr<>(sequence->abort_ip));
  return SetRegisters(task.tid, task.registers);
}

// What a refused seize means: the kernel says EPERM for a task that is traced, that has ended, and that is not ours to
// trace, all alike.
Result<StopOutcome> ExplainRefusal(pid_t pid, pid_t tid, Error error) {
  const auto status = ReadStatus(pid, tid);
  if (!status) return StopOutcome::kGone;
  if (status->state == 'Z' || status->state == 'X') {
    return tid == pid ? StopOutcome::kExitedLeader : StopOutcome::kGone;
  }
  if (status->tracer_pid == gettid()) return StopOutcome::kStopped;  // an attempt before could not stop it
  if (status->tracer_pid != 0) {
    return MakeError(ErrorCode::kNotSupported,
                     "process {} ({}) is traced by process {} (a debugger or strace?): end that first", pid,
                     status->name, status->tracer_pid);
  }
  return std::move(error).Context("process {} ({}) may not be traced by this user", pid, status->name);
}

// kStopped here: seized.
Result<StopOutcome> SeizeTask(pid_t pid, pid_t tid) {
  auto seized = Seize(tid, PTRACE_O_TRACESYSGOOD);
  if (seized) return StopOutcome::kStopped;
  if (seized.error().code() == ErrorCode::kTaskGone) return StopOutcome::kGone;
  return ExplainRefusal(pid, tid, std::move(seized.error()));
}

// The first thread can end alone between our look and the seize; its death is told only after that of all the others.
bool EndedAlone(pid_t pid, pid_t tid) {
  const auto stat = ReadStat(pid, tid);
  return tid == pid && stat && stat->state == 'Z';
}

Result<StopOutcome> AwaitStop(pid_t pid, FrozenTask& task) {
  while (true) {
    auto status = WaitFor(task.tid, kVforkLookMs);
    if (!status && status.error().code() == ErrorCode::kUnavailable) {
      if (VforkChild(pid, task.tid)) return StopOutcome::kInVfork;
      status = WaitFor(task.tid, kStopTimeoutMs);
    }
    if (!status && status.error().code() == ErrorCode::kTaskGone) return StopOutcome::kGone;
    if (!status && EndedAlone(pid, task.tid)) return StopOutcome::kExitedLeader;
    if (!status) return status.Fail("process {} does not stop (it waits in the kernel)", pid);
    if (status->Gone()) return StopOutcome::kGone;
    if (status->EventStop()) {
      task.group_stopped = status->GroupStop();
      task.group_stop_signal = status->stop_signal();
      return StopOutcome::kStopped;
    }
    // A signal on its way in: let it be delivered, the interrupt comes right behind. Should it be SIGKILL instead that
    // ended the stop, the next wait says so.
    auto continued = Continue(task.tid, status->event() == 0 ? status->stop_signal() : 0);
    if (!continued && continued.error().code() != ErrorCode::kTaskGone) return continued.Fail();
  }
}

// Code that a Baton which died has left: the thread is on its way back into its program.
bool RunsForeignStub(const FrozenTask& task) {
  std::vector<std::byte> before(kStubCodeMaxBytes);
  const RemotePtr<> from(task.registers.instruction().value() - before.size());
  return ReadRemote(task.tid, from, before) && RunsStubCode(before);
}

// Also a thread in a job-control stop, which would not get there by itself before it is continued.
Result<StopOutcome> AwaitHealing(pid_t pid, FrozenTask& task) {
  for (int attempt = 0; attempt < kHealingAttempts; ++attempt) {
    BATON_TRY(task.registers, GetRegisters(task.tid));
    if (!RunsForeignStub(task)) return StopOutcome::kStopped;
    BATON_CHECKED(Continue(task.tid));
    nanosleep(&kNap, nullptr);
    BATON_CHECKED(Interrupt(task.tid));
    BATON_TRY(const StopOutcome stopped, AwaitStop(pid, task));
    if (stopped != StopOutcome::kStopped) return stopped;
  }
  return MakeError(ErrorCode::kUnavailable, "thread {} still runs what a tracer that died has left in it", task.tid);
}

Result<StopOutcome> ReadStopped(pid_t pid, FrozenTask& task) {
  // The wait returns while the thread is still on its way off the processor; a ptrace request waits until it is, and
  // only then the switch is counted.
  BATON_TRY(task.registers, GetRegisters(task.tid));
  if (task.before) ForgetOtherSleep(pid, task.tid, *task.before);
  BATON_TRY(const StopOutcome healed, AwaitHealing(pid, task));
  if (healed != StopOutcome::kStopped) return healed;
  BATON_CHECKED(AbortRestartableSequence(task));
  BATON_CHECKED(RewindBrokenOffCall(task));
  return StopOutcome::kStopped;
}

}  // namespace

Result<StopOutcome> StopTask(pid_t pid, FrozenTask& task, SchedulerClock& clock) {
  task.before = LookAtPendingCall(pid, task.tid, clock);
  BATON_TRY(const StopOutcome seized, SeizeTask(pid, task.tid));
  if (seized != StopOutcome::kStopped) return seized;
  auto interrupted = Interrupt(task.tid);  // of one that died: the wait says so
  if (!interrupted && interrupted.error().code() != ErrorCode::kTaskGone) return interrupted.Fail();
  BATON_TRY(const StopOutcome stopped, AwaitStop(pid, task));
  if (stopped != StopOutcome::kStopped) return stopped;
  auto outcome = ReadStopped(pid, task);
  if (!outcome && outcome.error().code() == ErrorCode::kTaskGone) return StopOutcome::kGone;
  return outcome;
}

bool StandsUnchanged(const FrozenTask& task) {
  const auto now = GetRegisters(task.tid);
  return now && std::memcmp(&now->raw, &task.registers.raw, sizeof now->raw) == 0;
}

void LetGo(const FrozenTask& task) {
  if (task.interrupted && SignalIsDue(task.tid)) {
    if (auto set = SetRegisters(task.tid, *task.interrupted); !set) BATON_LOG(kDebug, "{}", set.error().ToString());
  }
  if (Detach(task.tid)) return;
  while (true) {
    const auto status = WaitFor(task.tid, kLetGoTimeoutMs);
    if (!status || status->Gone()) return;
    if (Detach(task.tid, status->event() == 0 ? status->stop_signal() : 0)) return;
  }
}

}  // namespace baton
