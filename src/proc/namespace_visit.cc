#include "proc/namespace_visit.h"

#include <fmt/format.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <sstream>

#include "base/file.h"
#include "base/unique_fd.h"

namespace baton {
namespace {

constexpr size_t kStackBytes = size_t{1} << 20;

struct Visit {
  int pid_fd = -1;
  int namespaces = 0;
  const std::function<Result<>()>* body = nullptr;
  std::optional<Result<>> result;
};

int Enter(void* argument) {
  auto* visit = static_cast<Visit*>(argument);
  const int entered = setns(visit->pid_fd, visit->namespaces);
  const int error = errno;
  prctl(PR_SET_PDEATHSIG, SIGKILL);  // not before: a change of credentials takes it away
  if (entered != 0) {
    visit->result = ErrnoError(error, "enter the unit's namespaces");
  } else {
    visit->result = (*visit->body)();
  }
  _exit(0);
}

Result<> VisitNamespaces(pid_t pid, int namespaces, const std::function<Result<>()>& visit) {
  BATON_TRY(const UniqueFd pid_fd, OpenPidFd(pid));
  Visit there{.pid_fd = pid_fd.get(), .namespaces = namespaces, .body = &visit, .result = std::nullopt};
  // Of a user namespace one can only enter another one than one's own (setns(2)).
  if (!ShareNamespace(pid, getpid(), "user")) there.namespaces |= CLONE_NEWUSER;
  const auto stack = std::make_unique_for_overwrite<std::byte[]>(kStackBytes);
  const int dumpable = prctl(PR_GET_DUMPABLE);
  // Without an exit signal: nobody who watches for SIGCHLD hears of it.
  const pid_t child = clone(Enter, stack.get() + kStackBytes, CLONE_VM | CLONE_FILES | CLONE_VFORK, &there);
  if (const int error = errno; child < 0) return ErrnoError(error, "make a process");
  while (waitpid(child, nullptr, __WALL) < 0 && errno == EINTR) {
  }
  // Its credentials have changed, and with them what our common memory allows.
  if (dumpable == 1 && prctl(PR_GET_DUMPABLE) != 1) prctl(PR_SET_DUMPABLE, 1);
  if (there.result) return std::move(*there.result);
  return MakeError(ErrorCode::kInternal, "the visitor of the unit's namespaces was killed");
}

// user_namespaces(7): a line is where a range of ids begins inside and outside, and how many there are.
bool HasSeveralIds(pid_t pid) {
  const auto map = ReadFile(fmt::format("/proc/{}/uid_map", pid));
  if (!map) return false;
  std::istringstream lines(*map);
  uint64_t count = 0;
  for (uint64_t inside = 0, outside = 0, more = 0; lines >> inside >> outside >> more;) count += more;
  return count > 1;
}

}  // namespace

bool ShareNamespace(pid_t a, pid_t b, const char* name) {
  const auto of_a = ReadLink(fmt::format("/proc/{}/ns/{}", a, name));
  const auto of_b = ReadLink(fmt::format("/proc/{}/ns/{}", b, name));
  return !of_a || !of_b || *of_a == *of_b;
}

Result<> InUserNamespaceOf(pid_t pid, const std::function<Result<>()>& visit) {
  if (ShareNamespace(pid, getpid(), "user")) return visit();
  return VisitNamespaces(pid, CLONE_NEWUSER, visit);
}

Result<> WithIdsOf(pid_t pid, const std::function<Result<>()>& visit) {
  return geteuid() != 0 && HasSeveralIds(pid) ? InUserNamespaceOf(pid, visit) : visit();
}

Result<> InIpcNamespaceOf(pid_t pid, const std::function<Result<>()>& visit) {
  if (ShareNamespace(pid, getpid(), "ipc")) return visit();
  return VisitNamespaces(pid, CLONE_NEWIPC, visit);
}

Result<> InIpcAndMountNamespaceOf(pid_t pid, const std::function<Result<>()>& visit) {
  const bool own_mounts = !ShareNamespace(pid, getpid(), "mnt");
  return VisitNamespaces(pid, CLONE_NEWIPC | (own_mounts ? CLONE_NEWNS : 0), visit);
}

}  // namespace baton
