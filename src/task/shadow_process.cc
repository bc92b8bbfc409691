#include "task/shadow_process.h"

#include <sched.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <cerrno>
#include <csignal>

#include "base/fault.h"
#include "base/file.h"
#include "base/log.h"
#include "task/ptrace.h"

namespace baton {
namespace {

constexpr uint64_t kUsual = PTRACE_O_TRACESYSGOOD;
constexpr uint64_t kFollow = kUsual | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK;

// A task that stands at its birth, with what it takes to make calls in it.
struct NewBorn {
  pid_t host_pid = 0;
  Marker marker;
  Registers registers;
};

Result<NewBorn> Fork(RemoteSyscalls& calls, uint64_t flags, const Marker& marker) {
  RemoteCall call{SYS_clone, {flags}};
  BATON_CHECKED(calls.RunFork(call));
  const std::optional<pid_t> host_pid = calls.TakeNewTask();
  if (call.result < 0) {
    const auto error = static_cast<int>(-call.result);
    return Error(ErrorCode::kUnavailable, error, fmt::format("copy process {}", calls.pid()));
  }
  if (!host_pid) return MakeError(ErrorCode::kInternal, "the copy of process {} was not reported", calls.pid());
  const auto own = static_cast<pid_t>(call.result);
  NewBorn born{.host_pid = *host_pid, .marker = {own, own, marker.signal}, .registers = {}};
  for (bool stands = false; !stands;) {
    BATON_TRY(const WaitStatus status, WaitFor(born.host_pid));
    if (status.Gone()) return MakeError(ErrorCode::kTaskGone, "the copy of process {} died", calls.pid());
    stands = status.EventStop();
    if (!stands) BATON_CHECKED(Continue(born.host_pid));
  }
  BATON_TRY(born.registers, GetRegisters(born.host_pid));
  return born;
}

RemoteSyscalls CallsIn(const NewBorn& task, const RemoteSyscalls& calls) {
  return {task.host_pid, calls.memory(), calls.site(), task.registers, task.marker};
}

// A leftover of an error half-way: nobody else would end it.
void Kill(pid_t pid) {
  kill(pid, SIGKILL);
  while (true) {
    const auto status = WaitFor(pid);
    if (!status || status->Gone()) return;
  }
}

Result<> End(const NewBorn& helper, const RemoteSyscalls& calls) {
  const RemoteCall exit{SYS_exit_group, {0}};
  const Registers registers = EnterSingle(helper.registers, calls.site().code, calls.site().stub, exit, helper.marker);
  BATON_CHECKED(SetRegisters(helper.host_pid, registers));
  DiePoint();
  while (true) {
    BATON_CHECKED(Continue(helper.host_pid));
    BATON_TRY(const WaitStatus status, WaitFor(helper.host_pid));
    if (status.Gone()) return {};
  }
}

// It leaves the program's session and group (their numbers and signals are the program's alone), keeps no pipe from
// ending, and if memory runs out, it goes first.
Result<> MakeHarmless(const NewBorn& shadow, const RemoteSyscalls& calls) {
  BATON_CHECKED(SetOptions(shadow.host_pid, kUsual | PTRACE_O_EXITKILL));
  RemoteSyscalls own = CallsIn(shadow, calls);
  RemoteCall leave{SYS_setsid};
  BATON_CHECKED(own.RunOne(leave));
  RemoteCall close{SYS_close_range, {0, ~0U, 0}};
  BATON_CHECKED(own.RunOne(close));
  if (auto set = WriteFile(fmt::format("/proc/{}/oom_score_adj", shadow.host_pid), "1000"); !set) {
    BATON_LOG(kDebug, "{}", set.error().ToString());
  }
  return {};
}

Result<NewBorn> MakeByHelper(RemoteSyscalls& calls, const Marker& marker) {
  BATON_TRY(const NewBorn helper, Fork(calls, CLONE_VM, marker));  // no signal at its end: invisible to plain wait(2)
  RemoteSyscalls in_helper = CallsIn(helper, calls);
  DiePoint();
  auto shadow = Fork(in_helper, SIGCHLD, marker);
  DiePoint();
  auto ended = End(helper, calls);
  if (ended) {
    auto waited = calls.Do("wait for the helper", SYS_wait4, helper.marker.ns_tgid, 0, __WALL, 0);
    if (!waited) ended = waited.Fail();
  } else {
    Kill(helper.host_pid);
  }
  if (ended) return shadow;
  if (shadow) Kill(shadow->host_pid);
  return std::unexpected(ended.error());
}

}  // namespace

Result<ShadowProcess> ShadowProcess::Make(RemoteSyscalls& calls, const Marker& marker) {
  BATON_CHECKED(FailPoint("capture.shadow"));
  BATON_CHECKED(SetOptions(calls.tid(), kFollow));
  auto shadow = MakeByHelper(calls, marker);
  BATON_CHECKED(SetOptions(calls.tid(), kUsual));
  if (!shadow) return std::unexpected(shadow.error());
  ShadowProcess made(shadow->host_pid);
  BATON_CHECKED(MakeHarmless(*shadow, calls));
  return made;
}

ShadowProcess::~ShadowProcess() {
  if (pid_ != 0) Kill(pid_);
}

}  // namespace baton
