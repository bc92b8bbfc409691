#include "workspace/directory.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/limits.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>

#include "base/file.h"

namespace baton {

Result<std::vector<DirectoryItem>> ListDirectory(int dir_fd) {
  constexpr size_t kBufferBytes = size_t{64} << 10;
  constexpr size_t kNameOffset = offsetof(dirent64, d_name);
  // Not fdopendir(3): it wants to own the descriptor and allocates per directory just as this does.
  const auto buffer = std::make_unique_for_overwrite<char[]>(kBufferBytes);
  if (const off_t at = lseek(dir_fd, 0, SEEK_SET); at < 0) return ErrnoError(errno, "rewind a directory");
  std::vector<DirectoryItem> items;
  while (true) {
    const ssize_t got = getdents64(dir_fd, buffer.get(), kBufferBytes);
    const int error = errno;
    if (got < 0) return ErrnoError(error, "list a directory");
    if (got == 0) return items;
    for (ssize_t at = 0; at < got;) {
      dirent64 head{};
      std::memcpy(&head, buffer.get() + at, kNameOffset);
      const char* name = buffer.get() + at + kNameOffset;
      at += head.d_reclen;
      if (std::strcmp(name, ".") == 0 || std::strcmp(name, "..") == 0) continue;
      items.push_back({.name = name, .type = head.d_type});
    }
  }
}

// NOLINTNEXTLINE(misc-no-recursion): as deep as the tree.
Result<> RemoveTree(int parent_fd, const std::string& name) {
  const int failed = unlinkat(parent_fd, name.c_str(), 0);
  const int error = errno;
  if (failed == 0) return {};
  if (error != EISDIR && error != EPERM) return ErrnoError(error, "remove {}", name);
  BATON_TRY(const UniqueFd fd, OpenFileAt(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
  BATON_TRY(const std::vector<DirectoryItem> items, ListDirectory(fd.get()));
  for (const DirectoryItem& item : items) {
    if (auto removed = RemoveTree(fd.get(), item.name); !removed) return removed.Fail("{}", name);
  }
  const int kept = unlinkat(parent_fd, name.c_str(), AT_REMOVEDIR);
  if (const int why = errno; kept != 0) return ErrnoError(why, "remove {}", name);
  return {};
}

Result<UniqueFd> OpenBeneath(int root_fd, const std::string& path, int flags) {
  open_how how{};
  how.flags = static_cast<uint64_t>(flags | O_CLOEXEC);
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  while (true) {
    const long fd = syscall(SYS_openat2, root_fd, path.empty() ? "." : path.c_str(), &how, sizeof(how));
    const int error = errno;
    if (fd >= 0) return UniqueFd(static_cast<int>(fd));
    // EAGAIN: a rename somewhere in the system met the check for "..", openat2(2).
    if (error != EINTR && error != EAGAIN) return ErrnoError(error, "open {}", path);
  }
}

Result<std::string> ReadLinkAt(int dir_fd, const std::string& name) {
  std::string target(PATH_MAX, '\0');
  const ssize_t got = readlinkat(dir_fd, name.c_str(), target.data(), target.size());
  if (const int error = errno; got < 0) return ErrnoError(error, "read link {}", name);
  target.resize(static_cast<size_t>(got));
  return target;
}

std::string_view ParentOf(std::string_view path) {
  const size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? std::string_view{} : path.substr(0, slash);
}

std::string_view BaseOf(std::string_view path) { return path.substr(path.rfind('/') + 1); }

std::string JoinPath(std::string_view directory, std::string_view name) {
  if (name.empty()) return std::string(directory);
  return directory.empty() ? std::string(name) : fmt::format("{}/{}", directory, name);
}

}  // namespace baton
