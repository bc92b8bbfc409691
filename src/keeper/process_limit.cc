#include "keeper/process_limit.h"

#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/file.h"

namespace baton {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

Result<bool> AwaitReadable(int fd, milliseconds limit) {
  const auto deadline = steady_clock::now() + limit;
  while (true) {
    const auto left = std::chrono::ceil<milliseconds>(deadline - steady_clock::now()).count();
    pollfd ended{.fd = fd, .events = POLLIN, .revents = 0};
    const int ready = poll(&ended, 1, static_cast<int>(std::clamp<int64_t>(left, 0, 1'000'000)));
    if (const int error = errno; ready < 0 && error != EINTR) return ErrnoError(error, "poll");
    if (ready > 0) return true;
    if (ready == 0 && steady_clock::now() >= deadline) return false;
  }
}

Result<std::optional<int>> WaitAtMost(pid_t child, milliseconds limit) {
  auto pidfd = OpenPidFd(child);
  auto ended = pidfd ? AwaitReadable(pidfd->get(), limit) : Result<bool>(pidfd.error());
  if (!ended || !*ended) kill(child, SIGKILL);
  int status = 0;
  pid_t reaped = 0;
  do {
    reaped = waitpid(child, &status, 0);
  } while (reaped < 0 && errno == EINTR);
  const int error = errno;
  if (!ended) return ended.Fail("wait for process {}", child);
  if (reaped < 0) return ErrnoError(error, "wait for process {}", child);
  return *ended ? std::optional<int>(status) : std::nullopt;
}

}  // namespace baton
