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
#include "proc/namespace_visit.h"

namespace baton {
namespace {

// Says by a byte that it is there, or by closing the pipe that it could not be; lives until it is killed.
[[noreturn]] void BeThere(UniqueFd ready, pid_t parent) {
  const bool entered = EnterUserNamespace().has_value();
  prctl(PR_SET_PDEATHSIG, SIGKILL);  // not before: the new credentials take it away
  if (getppid() != parent || !entered || write(ready.get(), "", 1) != 1) _exit(1);
  while (true) pause();
}

// A process in a user namespace with our own ids and the lent ones; it ends with this object, and with us.
class Borrower {
 public:
  static Result<Borrower> Start();
  Borrower(Borrower&& other) noexcept : pid_(std::exchange(other.pid_, 0)), ready_(other.ready_) {}
  Borrower& operator=(Borrower&&) = delete;
  ~Borrower();

  pid_t pid() const { return pid_; }
  bool ready() const { return ready_; }

 private:
  explicit Borrower(pid_t pid) : pid_(pid) {}
  pid_t pid_;  // 0: moved from
  bool ready_ = false;
};

Result<Borrower> Borrower::Start() {
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
  Borrower made(child);
  char byte = 0;
  ssize_t got = -1;
  do {
    got = read(ours.get(), &byte, 1);
  } while (got < 0 && errno == EINTR);
  made.ready_ = got == 1;
  return made;
}

Borrower::~Borrower() {
  if (pid_ == 0) return;
  kill(pid_, SIGKILL);
  while (waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

}  // namespace

Result<> WithLentIds(const std::function<Result<>()>& visit) {
  if (const SubordinateIds ids = FindSubordinateIds(); ids.users.empty() && ids.groups.empty()) return visit();
  BATON_TRY(const Borrower borrower, Borrower::Start());
  return borrower.ready() ? WithIdsOf(borrower.pid(), visit) : visit();
}

}  // namespace baton
