#include "task/shadow_process.h"

#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <cerrno>
#include <csignal>

#include "base/fault.h"
#include "base/log.h"
#include "proc/process_files.h"
#include "task/ptrace.h"

namespace baton {
namespace {

constexpr uint64_t kUsual = PTRACE_O_TRACESYSGOOD;
constexpr uint64_t kFollow = kUsual | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK;

// A leftover of an error half-way: nobody else would end it.
void Kill(pid_t pid) {
  kill(pid, SIGKILL);
  while (true) {
    const auto status = WaitFor(pid);
    if (!status || status->Gone()) return;
  }
}

Result<> AwaitBirth(pid_t pid) {
  while (true) {
    BATON_TRY(const WaitStatus status, WaitFor(pid));
    if (status.Gone()) return MakeError(ErrorCode::kTaskGone, "process {} died at its birth", pid);
    if (status.EventStop()) return {};
    BATON_CHECKED(Continue(pid));
  }
}

// Lets the helper make the shadow, and end. None if the system has no room for it.
Result<std::optional<pid_t>> RunHelper(pid_t helper) {
  BATON_CHECKED(AwaitBirth(helper));
  std::optional<pid_t> shadow;
  while (true) {
    BATON_CHECKED(Continue(helper));
    BATON_TRY(const WaitStatus status, WaitFor(helper));
    if (status.Gone()) break;
    if (status.event() == PTRACE_EVENT_FORK) {
      BATON_TRY(const uint64_t message, GetEventMessage(helper));
      shadow = static_cast<pid_t>(message);
    }
  }
  if (shadow) BATON_CHECKED(AwaitBirth(*shadow));
  return shadow;
}

Result<pid_t> MakeByHelper(RemoteSyscalls& calls) {
  BATON_TRY(const std::optional<pid_t> helper, calls.BeginShadow());
  if (!helper) return MakeError(ErrorCode::kUnavailable, "there is no room to copy process {}", calls.pid());
  auto shadow = RunHelper(*helper);
  if (!shadow) Kill(*helper);
  auto finished = calls.FinishShadow();
  if (!shadow) return shadow.Fail("copy process {}", calls.pid());
  if (!finished && *shadow) Kill(**shadow);
  if (!finished) return finished.Fail();
  if (!*shadow) return MakeError(ErrorCode::kUnavailable, "there is no room to copy process {}", calls.pid());
  return **shadow;
}

// Calls in the shadow: its memory is the process' own, at the same places.
Result<RemoteSyscalls> CallsIn(pid_t shadow, const RemoteSyscalls& calls, int marker_signal) {
  BATON_TRY(const Registers registers, GetRegisters(shadow));
  BATON_TRY(const ProcStatus status, ReadStatus(shadow));
  const pid_t own = status.ns_tgid.empty() ? shadow : status.ns_tgid.back();
  return RemoteSyscalls(shadow, calls.memory(), calls.site(), registers, {own, own, marker_signal});
}

// It leaves the program's session and group (their numbers and signals are the program's alone), keeps no pipe from
// ending, and if memory runs out, it goes first.
Result<> MakeHarmless(pid_t shadow, const RemoteSyscalls& calls, const Marker& marker) {
  BATON_CHECKED(SetOptions(shadow, kUsual | PTRACE_O_EXITKILL));
  BATON_TRY(RemoteSyscalls own, CallsIn(shadow, calls, marker.signal));
  RemoteCall leave{SYS_setsid};
  BATON_CHECKED(own.RunOne(leave));
  RemoteCall close{SYS_close_range, {0, ~0U, 0}};
  BATON_CHECKED(own.RunOne(close));
  if (auto set = WriteProcessFile(shadow, "oom_score_adj", "1000"); !set) {
    BATON_LOG(kDebug, "{}", set.error().ToString());
  }
  return {};
}

}  // namespace

Result<ShadowProcess> ShadowProcess::Make(RemoteSyscalls& calls, const Marker& marker) {
  BATON_CHECKED(FailPoint("capture.shadow"));
  BATON_CHECKED(SetOptions(calls.tid(), kFollow));
  auto shadow = MakeByHelper(calls);
  BATON_CHECKED(SetOptions(calls.tid(), kUsual));
  if (!shadow) return shadow.Fail();
  ShadowProcess made(*shadow);
  BATON_CHECKED(MakeHarmless(*shadow, calls, marker));
  return made;
}

ShadowProcess::~ShadowProcess() {
  if (pid_ != 0) Kill(pid_);
}

}  // namespace baton
