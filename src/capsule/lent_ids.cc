#include "capsule/lent_ids.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <utility>

#include "base/unique_fd.h"
#include "capsule/id_maps.h"
#include "capsule/namespaces.h"

namespace baton {
namespace {

// Says by a byte that it is there, or by closing the pipe that it could not be; lives until it is killed.
[[noreturn]] void BeThere(UniqueFd ready, pid_t parent) {
  const bool entered = EnterUserNamespace().has_value();
  prctl(PR_SET_PDEATHSIG, SIGKILL);  // not before: the new credentials take it away
  if (getppid() != parent || !entered || write(ready.get(), "", 1) != 1) _exit(1);
  while (true) pause();
}

void End(pid_t child) {
  kill(child, SIGKILL);
  while (waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
  }
}

}  // namespace

Result<LentIds> LentIds::Borrow() {
  if (const SubordinateIds ids = FindSubordinateIds(); ids.users.empty() && ids.groups.empty())
    return LentIds(getpid());
  std::array<int, 2> ends{};
  const int piped = pipe2(ends.data(), O_CLOEXEC);
  if (const int error = errno; piped != 0) return ErrnoError(error, "pipe");
  const UniqueFd ours(ends[0]);
  UniqueFd theirs(ends[1]);
  const pid_t self = getpid();
  const pid_t child = fork();
  if (const int error = errno; child < 0) return ErrnoError(error, "fork");
  if (child == 0) BeThere(std::move(theirs), self);
  {
    const UniqueFd closed_here = std::move(theirs);
  }
  LentIds made(child);
  char byte = 0;
  while (true) {
    const ssize_t got = read(ours.get(), &byte, 1);
    if (got < 0 && errno == EINTR) continue;
    if (got == 1) return made;
    return LentIds(self);  // the capsule will say why
  }
}

LentIds::LentIds(LentIds&& other) noexcept : pid_(std::exchange(other.pid_, getpid())) {}

LentIds::~LentIds() {
  if (pid_ != getpid()) End(pid_);
}

}  // namespace baton
