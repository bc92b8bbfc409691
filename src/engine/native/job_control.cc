#include "engine/native/job_control.h"

#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <span>

#include "base/fault.h"
#include "task/ptrace.h"

namespace baton {
namespace {

bool IsStopSignal(int signal) {
  return signal == SIGSTOP || signal == SIGTSTP || signal == SIGTTIN || signal == SIGTTOU;
}

bool HasAction(const pb::ProcessRecord& record, int signal) {
  return std::ranges::any_of(record.actions(), [&](const auto& action) { return action.signal() == signal; });
}

// The signal that stopped it, where that still stops.
int StopSignalOf(const pb::ProcessRecord& record) {
  const int signal = static_cast<int>(record.stop_signal());
  return IsStopSignal(signal) && !HasAction(record, signal) ? signal : SIGSTOP;
}

Result<> AwaitGroupStop(pid_t tid, int signal) {
  while (true) {
    BATON_TRY(const WaitStatus status, WaitFor(tid));
    if (status.Gone()) return MakeError(ErrorCode::kTaskGone, "thread {} died", tid);
    if (status.GroupStop()) return {};
    const bool delivery = status.event() == 0 && status.stop_signal() == SIGSTOP;
    BATON_CHECKED(Continue(tid, delivery ? signal : 0));
  }
}

Result<siginfo_t> WaitForStop(RemoteSyscalls& parent, pid_t child, int options) {
  parent.ResetArguments();
  BATON_TRY(const auto at, parent.PutValue(siginfo_t{}));
  BATON_CHECKED(parent.Do("waitid", SYS_waitid, P_PID, child, at, WSTOPPED | WNOHANG | options, 0));
  return parent.Get(at);
}

}  // namespace

Result<> CaptureStopTaken(RemoteSyscalls& parent, pb::ProcessRecord& child) {
  BATON_TRY(const siginfo_t waiting, WaitForStop(parent, child.pid(), WNOWAIT));
  child.set_stop_taken(waiting.si_pid == 0);
  return {};
}

Result<> StopAgain(const std::vector<std::unique_ptr<BlankTask>>& threads, const pb::ProcessRecord& record) {
  BATON_CHECKED(FailPoint("restore.stop"));
  const int signal = StopSignalOf(record);
  const uint64_t all_but_stop = ~(uint64_t{1} << static_cast<unsigned>(signal - 1));
  const size_t first = record.threads(0).exited() ? 1 : 0;
  const std::span<const std::unique_ptr<BlankTask>> living = std::span(threads).subspan(first);
  for (const auto& thread : living) BATON_CHECKED(SetSignalMask(thread->host_tid(), all_but_stop));
  // To one thread: which one would take a signal of the process is not known if the first one has ended.
  const long sent = syscall(SYS_tgkill, threads.front()->host_pid(), living.front()->host_tid(), SIGSTOP);
  if (const int error = errno; sent != 0) return ErrnoError(error, "stop process {}", record.pid());
  for (const auto& thread : living) BATON_CHECKED(Continue(thread->host_tid()));
  for (const auto& thread : living) BATON_CHECKED(AwaitGroupStop(thread->host_tid(), signal));
  for (size_t i = first; i < threads.size(); ++i) {
    BATON_CHECKED(SetSignalMask(threads[i]->host_tid(), record.threads(static_cast<int>(i)).signal_mask()));
  }
  return {};
}

Result<> TakeStopAgain(RemoteSyscalls& parent, const pb::ProcessRecord& child) {
  if (child.stop_taken()) BATON_CHECKED(WaitForStop(parent, child.pid(), 0));
  return {};
}

}  // namespace baton
