#include "base/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace baton {

Result<UniqueFd> OpenFile(const std::string& path, int flags, mode_t mode) {
  return OpenFileAt(AT_FDCWD, path, flags, mode);
}

Result<UniqueFd> OpenFileAt(int dir_fd, const std::string& path, int flags, mode_t mode) {
  const int fd = openat(dir_fd, path.c_str(), flags | O_CLOEXEC, mode);
  if (const int error = errno; fd < 0) return ErrnoError(error, "open {}", path);
  return UniqueFd(fd);
}

Result<std::string> ReadFile(const std::string& path, size_t max_bytes) {
  BATON_TRY(const UniqueFd fd, OpenFile(path, O_RDONLY));
  auto content = ReadFd(fd.get(), max_bytes);
  if (!content) return content.Fail("{}", path);
  return content;
}

Result<std::string> ReadFd(int fd, size_t max_bytes) {
  constexpr size_t kFirstChunk = 4096;
  std::string content;
  size_t used = 0;
  while (true) {
    content.resize(std::max(kFirstChunk, used * 2));
    const ssize_t got = read(fd, content.data() + used, content.size() - used);
    const int error = errno;
    if (got < 0 && error == EINTR) continue;
    if (got < 0) return ErrnoError(error, "read");
    if (got == 0) break;
    used += static_cast<size_t>(got);
    if (used > max_bytes) return MakeError(ErrorCode::kIo, "larger than {} bytes", max_bytes);
    if (used < content.size()) continue;
  }
  content.resize(used);
  return content;
}

Result<> WriteAll(int fd, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t put = write(fd, bytes.data(), bytes.size());
    const int error = errno;
    if (put < 0 && error == EINTR) continue;
    if (put < 0) return ErrnoError(error, "write {} bytes", bytes.size());
    bytes = bytes.subspan(static_cast<size_t>(put));
  }
  return {};
}

Result<> WriteAll(int fd, std::string_view text) { return WriteAll(fd, std::as_bytes(std::span(text))); }

Result<> PwriteAll(int fd, std::span<const std::byte> bytes, uint64_t offset) {
  while (!bytes.empty()) {
    const ssize_t put = pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    const int error = errno;
    if (put < 0 && error == EINTR) continue;
    if (put < 0) return ErrnoError(error, "write {} bytes at {}", bytes.size(), offset);
    bytes = bytes.subspan(static_cast<size_t>(put));
    offset += static_cast<uint64_t>(put);
  }
  return {};
}

Result<> ReadExactly(int fd, std::span<std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t got = read(fd, bytes.data(), bytes.size());
    const int error = errno;
    if (got < 0 && error == EINTR) continue;
    if (got < 0) return ErrnoError(error, "read {} bytes", bytes.size());
    if (got == 0) return MakeError(ErrorCode::kCorrupt, "ends {} bytes early", bytes.size());
    bytes = bytes.subspan(static_cast<size_t>(got));
  }
  return {};
}

Result<> PreadExactly(int fd, std::span<std::byte> bytes, uint64_t offset) {
  while (!bytes.empty()) {
    const ssize_t got = pread(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    const int error = errno;
    if (got < 0 && error == EINTR) continue;
    if (got < 0) return ErrnoError(error, "read {} bytes at {}", bytes.size(), offset);
    if (got == 0) return MakeError(ErrorCode::kCorrupt, "ends {} bytes early at {}", bytes.size(), offset);
    bytes = bytes.subspan(static_cast<size_t>(got));
    offset += static_cast<uint64_t>(got);
  }
  return {};
}

Result<> WriteFile(const std::string& path, std::string_view content, mode_t mode) {
  BATON_TRY(const UniqueFd fd, OpenFile(path, O_WRONLY | O_CREAT | O_TRUNC, mode));
  if (auto written = WriteAll(fd.get(), content); !written) return written.Fail("{}", path);
  return {};
}

Result<> WriteFileDurably(const std::string& path, std::string_view content, mode_t mode) {
  const std::string temporary = path + ".tmp";
  {
    BATON_TRY(const UniqueFd fd, OpenFile(temporary, O_WRONLY | O_CREAT | O_TRUNC, mode));
    if (auto written = WriteAll(fd.get(), content); !written) return written.Fail("{}", temporary);
    BATON_CHECKED(SyncFd(fd.get(), temporary));
  }
  const int renamed = rename(temporary.c_str(), path.c_str());
  if (const int error = errno; renamed != 0) return ErrnoError(error, "rename {} to {}", temporary, path);
  const auto slash = path.rfind('/');
  return SyncDirectory(slash == std::string::npos ? "." : path.substr(0, slash + 1));
}

Result<> SyncFd(int fd, std::string_view what) {
  const int synced = fsync(fd);
  if (const int error = errno; synced != 0) return ErrnoError(error, "sync {}", what);
  return {};
}

Result<> SyncDirectory(const std::string& path) {
  BATON_TRY(const UniqueFd fd, OpenFile(path, O_RDONLY | O_DIRECTORY));
  return SyncFd(fd.get(), path);
}

Result<> MakeDirectories(const std::string& path, mode_t mode) {
  for (size_t end = path.find('/', 1);; end = path.find('/', end + 1)) {
    const std::string part = path.substr(0, end);
    const int made = mkdir(part.c_str(), mode);
    if (const int error = errno; made != 0 && error != EEXIST) return ErrnoError(error, "make directory {}", part);
    if (end == std::string::npos) break;
  }
  struct stat status{};
  const int stated = stat(path.c_str(), &status);
  if (const int error = errno; stated != 0) return ErrnoError(error, "{}", path);
  if (!S_ISDIR(status.st_mode)) return ErrnoError(ENOTDIR, "{}", path);
  return {};
}

Result<> MakeOwnDirectory(const std::string& path) {
  constexpr mode_t kMode = 0700;
  const int made = mkdir(path.c_str(), kMode);
  if (const int error = errno; made != 0 && error != EEXIST) return ErrnoError(error, "make directory {}", path);
  struct stat found{};
  const int stated = lstat(path.c_str(), &found);
  if (const int error = errno; stated != 0) return ErrnoError(error, "{}", path);
  const bool own = S_ISDIR(found.st_mode) && found.st_uid == geteuid() && (found.st_mode & ACCESSPERMS) == kMode;
  if (!own) return MakeError(ErrorCode::kConflict, "{} is not a directory of ours with mode 0700", path);
  return {};
}

Result<bool> IsRegularFile(const std::string& path) {
  struct stat status{};
  const int stated = stat(path.c_str(), &status);
  if (const int error = errno; stated != 0) return ErrnoError(error, "{}", path);
  return S_ISREG(status.st_mode);
}

Result<std::string> ReadLink(const std::string& path) {
  std::string target(256, '\0');
  while (true) {
    const ssize_t length = readlink(path.c_str(), target.data(), target.size());
    if (const int error = errno; length < 0) return ErrnoError(error, "readlink {}", path);
    if (static_cast<size_t>(length) < target.size()) {
      target.resize(static_cast<size_t>(length));
      return target;
    }
    target.resize(target.size() * 2);
  }
}

Result<UniqueFd> DupFd(int fd) {
  const int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
  if (const int error = errno; copy < 0) return ErrnoError(error, "dup {}", fd);
  return UniqueFd(copy);
}

Result<UniqueFd> OpenPidFd(pid_t tid) {
  constexpr int kThread = O_EXCL;  // PIDFD_THREAD
  auto fd = static_cast<int>(syscall(SYS_pidfd_open, tid, 0));
  int error = errno;
  if (fd < 0 && (error == EINVAL || error == ENOENT)) {
    fd = static_cast<int>(syscall(SYS_pidfd_open, tid, kThread));
    error = errno;
  }
  if (fd >= 0) return UniqueFd(fd);
  if (error == ESRCH) return Error(ErrorCode::kTaskGone, error, fmt::format("process {}", tid));
  if (error != EINVAL) return ErrnoError(error, "pidfd_open {}", tid);
  return MakeError(
      ErrorCode::kNotSupported,
      "task {} is not the first thread of its process, and has descriptors of its own or goes on alone: that needs "
      "Linux 6.9",
      tid);
}

}  // namespace baton
