#include "engine/native/blocked_write.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <chrono>
#include <optional>

#include "base/file.h"
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
  if (seen->args[2] <= PIPE_BUF) return std::nullopt;  // written whole or not at all: made again after the stop
  return Write{static_cast<int>(seen->args[0]), seen->args[2]};
}

std::optional<UniqueFd> CopyOfPipe(pid_t tid, int fd) {
  const auto process = OpenPidFd(tid);
  if (!process) return std::nullopt;
  const auto copy = static_cast<int>(syscall(SYS_pidfd_getfd, process->get(), fd, 0));
  if (copy < 0) return std::nullopt;
  UniqueFd pipe(copy);
  struct stat status{};
  if (fstat(copy, &status) != 0 || !S_ISFIFO(status.st_mode)) return std::nullopt;
  return pipe;
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
  std::optional<UniqueFd> pipe = CopyOfPipe(LivingTask(pid), write->fd);
  if (!pipe) return;
  const int present = fcntl(pipe->get(), F_GETPIPE_SZ);
  if (present <= 0 || !MakeRoom(pipe->get(), present, write->bytes)) return;
  enlarged_.push_back({std::move(*pipe), present});
  AwaitEnd(pid, tid, write->fd);
}

void BlockedWrites::RestoreSizes() {
  for (const Enlarged& one : enlarged_) fcntl(one.pipe.get(), F_SETPIPE_SZ, one.bytes);
  enlarged_.clear();
}

}  // namespace baton
