#include "resource/file/origin.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <memory>
#include <optional>

#include "base/file.h"
#include "proc/process_files.h"

namespace baton {
namespace {

constexpr std::string_view kDeleted = " (deleted)";
constexpr std::string_view kMemfd = "/memfd:";
constexpr std::string_view kProc = "/proc/";
constexpr uint64_t kDmaBuf = 0x444d4142;  // not in every linux/magic.h
constexpr uint64_t kFuse = 0x65735546;
constexpr size_t kMaxEntries = 100'000;  // of a directory that is searched for another name

template <typename... Args>
Error NotSupported(fmt::format_string<Args...> format, Args&&... args) {
  return MakeError(ErrorCode::kNotSupported, format, std::forward<Args>(args)...);
}

std::string WithoutDeleted(std::string_view link) {
  if (link.ends_with(kDeleted)) link.remove_suffix(kDeleted.size());
  return std::string(link);
}

// The directory through which the unit's paths can be walked from here. A link under /proc/PID/fd counts from the root
// of the mount namespace, so a process with a root of its own does not serve; without any other, our own root has to.
std::string RootOfUnit(const FdFacts& file, const CaptureContext& context) {
  const auto serves = [](pid_t pid) {
    const auto root = ReadProcessLink(pid, "root");
    return root && *root == "/";
  };
  if (serves(file.host_pid)) return fmt::format("/proc/{}/root", file.host_pid);
  for (const FdFacts& other : context.files()) {
    if (serves(other.host_pid)) return fmt::format("/proc/{}/root", other.host_pid);
  }
  return "";
}

bool IsSameFile(const struct stat& a, const struct stat& b) {
  return a.st_dev == b.st_dev && a.st_ino == b.st_ino && (a.st_mode & S_IFMT) == (b.st_mode & S_IFMT);
}

// Another name of the file in the directory where it was: what is left of "write a temporary file, link it to its final
// name, remove the temporary name".
std::optional<std::string> OtherNameBeside(const std::string& root, const std::string& path,
                                           const struct stat& wanted) {
  const std::string directory = path.substr(0, path.rfind('/') + 1);
  const std::unique_ptr<DIR, int (*)(DIR*)> entries(opendir((root + directory).c_str()), closedir);
  if (!entries) return std::nullopt;
  for (size_t i = 0; i < kMaxEntries; ++i) {
    const dirent* entry = readdir(entries.get());
    if (entry == nullptr) break;
    struct stat status{};
    if (entry->d_ino != wanted.st_ino || lstat((root + directory + entry->d_name).c_str(), &status) != 0) continue;
    if (IsSameFile(status, wanted)) return directory + entry->d_name;
  }
  return std::nullopt;
}

// Names that the file system itself has given to a deleted file, and takes away when it is closed.
bool IsSillyName(const FdFacts& file) {
  const std::string_view name = std::string_view(file.link).substr(file.link.rfind('/') + 1);
  return (file.fs_magic == NFS_SUPER_MAGIC && name.starts_with(".nfs")) ||
         (file.fs_magic == kFuse && name.starts_with(".fuse_hidden"));
}

Result<FileOrigin> Nameless(const FdFacts& file) {
  const std::string path = WithoutDeleted(file.link);
  if (file.fs_magic == HUGETLBFS_MAGIC) {
    return NotSupported("is a file of huge pages without a name, which cannot be saved; use normal pages");
  }
  if (file.fs_magic == SECRETMEM_MAGIC) return NotSupported("is secret memory (memfd_secret), which cannot be read");
  if (file.fs_magic == kDmaBuf) return NotSupported("is a buffer of a device (dma-buf), which cannot be saved");
  if (path.starts_with(kMemfd) && fcntl(file.copy, F_GET_SEALS) >= 0) {
    return FileOrigin{pb::FilePayload::MEMFD, path.substr(kMemfd.size())};
  }
  return FileOrigin{pb::FilePayload::NAMELESS, path};
}

// The number may have been given to another process since. The link does not always say "(deleted)".
bool IsOfEndedProcess(const FdFacts& file, const std::string& path, const CaptureContext& context) {
  struct stat status{};
  if (path != file.link) return true;
  if (lstat((RootOfUnit(file, context) + path).c_str(), &status) == 0) return !IsSameFile(status, file.status);
  return errno == ENOENT || errno == ESRCH;
}

// Size and inode of these are made up; the path is what counts, and which process it speaks of.
Result<FileOrigin> OfKernel(const FdFacts& file, const CaptureContext& context) {
  const std::string path = WithoutDeleted(file.link);
  const pid_t process = file.fs_magic == PROC_SUPER_MAGIC ? ProcessOfProcPath(path) : 0;
  const std::string tasks = fmt::format("/proc/{}/task/", process);
  const bool of_other_thread =
      path.starts_with(tasks) && !(path + "/").starts_with(tasks + std::to_string(process) + "/");
  const bool ended = process != 0 && IsOfEndedProcess(file, path, context);
  if (ended && !of_other_thread) {
    return FileOrigin{.path = path, .of_kernel = true, .of_ended_process = true};
  }
  if (process != 0 && !context.HasProcess(process)) {
    return NotSupported("is about process {}, which does not belong to the job; close it", process);
  }
  if (ended) return NotSupported("is about a thread that has ended; close it");
  if (path != file.link) return NotSupported("is a file of the kernel that is gone; close it");
  return FileOrigin{.path = path, .of_kernel = true};
}

}  // namespace

bool IsKernelFileSystem(uint64_t fs_magic) {
  constexpr std::array<uint64_t, 8> kMagics{PROC_SUPER_MAGIC, SYSFS_MAGIC,   CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC,
                                            DEBUGFS_MAGIC,    TRACEFS_MAGIC, SECURITYFS_MAGIC,   BPF_FS_MAGIC};
  return std::ranges::find(kMagics, fs_magic) != kMagics.end();
}

pid_t ProcessOfProcPath(std::string_view path) {
  if (!path.starts_with(kProc)) return 0;
  path.remove_prefix(kProc.size());
  pid_t pid = 0;
  const auto [stop, error] = std::from_chars(path.data(), path.data() + path.size(), pid);
  const bool whole = error == std::errc() && (stop == path.data() + path.size() || *stop == '/');
  return whole && pid > 0 ? pid : 0;
}

Result<FileOrigin> FindOrigin(const FdFacts& file, const CaptureContext& context) {
  if (IsKernelFileSystem(file.fs_magic)) return OfKernel(file, context);
  if (file.status.st_nlink == 0 || IsSillyName(file)) {
    if (file.IsRegular()) return Nameless(file);
    return FileOrigin{pb::FilePayload::NAMELESS, WithoutDeleted(file.link)};
  }
  const std::string root = RootOfUnit(file, context);
  struct stat status{};
  const int looked = lstat((root + file.link).c_str(), &status);
  if (looked == 0 && IsSameFile(status, file.status)) return FileOrigin{.path = file.link};
  if (const int error = errno; looked != 0 && error != ENOENT && error != ENOTDIR) {
    return ErrnoError(error, "cannot look for it at its path");
  }
  if (!file.link.ends_with(kDeleted)) {
    return NotSupported("cannot be found again by its path: {}; close it, or put the file back at {}",
                        looked == 0 ? "another file is there" : "nothing is there (unmounted?)", file.link);
  }
  if (file.IsDirectory()) return NotSupported("is a directory that has been removed; close it");
  const std::string path = WithoutDeleted(file.link);
  if (auto other = OtherNameBeside(root, path, file.status)) return FileOrigin{.path = std::move(*other)};
  return NotSupported(
      "has lost the name it was opened by and has others ({}) outside of that directory; close it, or give it a name "
      "(hard link) in {}",
      file.status.st_nlink, path.substr(0, std::max<size_t>(1, path.rfind('/'))));
}

}  // namespace baton
