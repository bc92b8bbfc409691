#include "engine/native/vfork_wait.h"

#include <sched.h>
#include <sys/syscall.h>
#include <time.h>

#include <algorithm>

#include "proc/process_files.h"
#include "task/remote_memory.h"

namespace baton {
namespace {

constexpr timespec kNap{0, 500'000};

// clone3(2) has its flags in memory, first of all.
bool WaitsForChild(pid_t tid, const ProcSyscall& call) {
  if (call.running) return false;
  switch (call.number) {
    case SYS_vfork:
      return true;
    case SYS_clone:
      return (call.args[0] & CLONE_VFORK) != 0;
    case SYS_clone3: {
      const auto flags = ReadRemoteValue(tid, RemotePtr<uint64_t>(call.args[0]));
      return flags && (*flags & CLONE_VFORK) != 0;
    }
    default:
      return false;
  }
}

bool AnyWaits(pid_t pid) {
  const auto tids = ListTasks(pid);
  return tids && std::ranges::any_of(*tids, [pid](pid_t tid) { return VforkChild(pid, tid).has_value(); });
}

}  // namespace

std::optional<pid_t> VforkChild(pid_t pid, pid_t tid) {
  const auto call = ReadSyscall(pid, tid);
  if (!call || !WaitsForChild(tid, *call)) return std::nullopt;
  // Its newest. A thread of its own process that it made so (CLONE_THREAD), or a brother, is not among them.
  const auto children = ListChildren(pid, tid);
  return children && !children->empty() ? children->back() : 0;
}

Result<> AwaitVforks(const std::function<Result<std::vector<pid_t>>()>& lister, std::chrono::milliseconds most) {
  const auto deadline = std::chrono::steady_clock::now() + most;
  while (true) {
    BATON_TRY(const std::vector<pid_t> pids, lister());
    if (std::ranges::none_of(pids, AnyWaits) || std::chrono::steady_clock::now() > deadline) return {};
    nanosleep(&kNap, nullptr);
  }
}

}  // namespace baton
