#include "engine/native/blocked_write.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <chrono>
#include <optional>

#include "proc/process_files.h"

namespace baton {
namespace {

struct Write {
  int fd = -1;
  uint64_t bytes = 0;
};

std::optional<Write> LookAtWrite(pid_t pid, pid_t tid) {
  const auto seen = ReadSyscall(pid, tid);
  if (!seen || seen->running || seen->number != SYS_write) return std::nullopt;
  return Write{static_cast<int>(seen->args[0]), seen->args[2]};
}

UniqueFd CopyOfPipe(pid_t pid, int fd) {
  const UniqueFd process(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  UniqueFd copy(static_cast<int>(syscall(SYS_pidfd_getfd, process.get(), fd, 0)));
  struct stat status{};
  const bool is_pipe = copy.get() >= 0 && fstat(copy.get(), &status) == 0 && S_ISFIFO(status.st_mode);
  return is_pipe ? std::move(copy) : UniqueFd(-1);
}

// As it is written page by page, a page may be taken up by a few bytes: room for all of it beside all that is there.
bool MakeRoom(int pipe, int present, uint64_t bytes) {
  constexpr uint64_t kMost = uint64_t{1} << 30;
  return bytes < kMost && fcntl(pipe, F_SETPIPE_SZ, present + static_cast<int>(bytes)) >= 0;
}

void AwaitEnd(pid_t pid, pid_t tid, int fd) {
  constexpr auto kPatience = std::chrono::milliseconds(50);
  const auto end = std::chrono::steady_clock::now() + kPatience;
  while (std::chrono::steady_clock::now() < end) {
    const auto still = LookAtWrite(pid, tid);
    if (!still || still->fd != fd) return;
    poll(nullptr, 0, 1);
  }
}

}  // namespace

void BlockedWrites::LetEnd(pid_t pid, pid_t tid) {
  const auto write = LookAtWrite(pid, tid);
  if (!write) return;
  UniqueFd pipe = CopyOfPipe(pid, write->fd);
  if (pipe.get() < 0) return;
  const int present = fcntl(pipe.get(), F_GETPIPE_SZ);
  if (present <= 0 || !MakeRoom(pipe.get(), present, write->bytes)) return;
  enlarged_.push_back({std::move(pipe), present});
  AwaitEnd(pid, tid, write->fd);
}

void BlockedWrites::RestoreSizes() {
  for (const Enlarged& one : enlarged_) fcntl(one.pipe.get(), F_SETPIPE_SZ, one.bytes);
  enlarged_.clear();
}

}  // namespace baton
