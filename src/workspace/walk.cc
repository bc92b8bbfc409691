#include "workspace/walk.h"

#include <fcntl.h>
#include <fnmatch.h>
#include <linux/magic.h>
#include <linux/stat.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <time.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <set>

#include "base/file.h"
#include "workspace/directory.h"
#include "workspace/manifest.h"

namespace baton {
namespace {

constexpr int64_t kSecond = 1'000'000'000;
// File times come from a clock that ticks every 1 to 10 ms (CONFIG_HZ), finer only since Linux 6.13 and not everywhere.
constexpr int64_t kLocalTick = 2 * kSecond / 100;
// Where another machine's clock may set them, or they are kept in whole seconds.
constexpr int64_t kForeignTick = 10 * kSecond;

// statfs(2) magics that the headers of older distributions lack.
constexpr long kXfsMagic = 0x58465342;
constexpr long kZfsMagic = 0x2fc12fc1;

int64_t TickOf(int fd) {
  struct statfs status{};
  if (fstatfs(fd, &status) != 0) return kForeignTick;
  switch (status.f_type) {
    case EXT4_SUPER_MAGIC:
    case BTRFS_SUPER_MAGIC:
    case TMPFS_MAGIC:
    case OVERLAYFS_SUPER_MAGIC:
    case F2FS_SUPER_MAGIC:
    case kXfsMagic:
    case kZfsMagic:
      return kLocalTick;
    default:
      return kForeignTick;
  }
}

int64_t Nanoseconds(const struct statx_timestamp& time) { return time.tv_sec * kSecond + time.tv_nsec; }

int64_t Now() {
  timespec now{};
  clock_gettime(CLOCK_REALTIME_COARSE, &now);
  return now.tv_sec * kSecond + now.tv_nsec;
}

FileStatus FromStatx(const struct statx& raw) {
  constexpr uint64_t kBlock = 512;
  return {.file_type = raw.stx_mode & uint32_t{S_IFMT},
          .mode = raw.stx_mode & uint32_t{07777},
          .uid = raw.stx_uid,
          .gid = raw.stx_gid,
          .links = raw.stx_nlink,
          .size = raw.stx_size,
          .allocated = raw.stx_blocks * kBlock,
          .device = makedev(raw.stx_dev_major, raw.stx_dev_minor),
          .inode = raw.stx_ino,
          .mtime_ns = Nanoseconds(raw.stx_mtime),
          .ctime_ns = Nanoseconds(raw.stx_ctime)};
}

class Walker {
 public:
  explicit Walker(const WalkOptions& options) : options_(options) {
    for (const std::string& path : options.skip_paths) {
      if (auto named = StatusOf(AT_FDCWD, path); named) skipped_.insert(named->status.key());
    }
  }

  Result<> WalkRoot(uint32_t root) {
    const std::string& path = options_.roots[root].host_path;
    BATON_TRY(UniqueFd fd, OpenFile(path, O_RDONLY | O_DIRECTORY));
    BATON_TRY(const NamedStatus named, StatusOf(fd.get(), ""));
    newest_settled_ = Now() - TickOf(fd.get());
    size_t at = listing_.nodes.size();
    AddNode({.root = root, .path = {}, .status = named.status});
    // Not recursive: a tree may be deeper than we may have descriptors open.
    for (; at < listing_.nodes.size(); ++at) {
      if (listing_.nodes[at].status.file_type == S_IFDIR) BATON_CHECKED(WalkDirectory(fd.get(), at));
    }
    listing_.root_fds.push_back(std::move(fd));
    return {};
  }

  TreeListing Take() { return std::move(listing_); }

 private:
  void AddNode(Node node) {
    // ctime alone: mtime can be set to anything, and every change of it moves ctime.
    node.unsettled = node.status.ctime_ns > newest_settled_;
    listing_.nodes.push_back(std::move(node));
  }

  Result<> WalkDirectory(int root_fd, size_t at) {
    const uint32_t root = listing_.nodes[at].root;
    const std::string path = listing_.nodes[at].path;
    auto fd = OpenBeneath(root_fd, path, O_RDONLY | O_DIRECTORY);
    if (!fd && IsGone(fd.error())) return {};
    if (!fd) return Unreadable(std::move(fd.error()), root, path);
    auto items = ListDirectory(fd->get());
    if (!items) return Unreadable(std::move(items.error()), root, path);
    std::ranges::sort(*items, {}, &DirectoryItem::name);
    for (const DirectoryItem& item : *items) {
      if (IsReservedName(item.name)) continue;
      std::string child = JoinPath(path, item.name);
      if (IsExcluded(options_.excludes, child)) continue;
      BATON_CHECKED(AddChild(fd->get(), item.name, {.root = root, .path = std::move(child), .status = {}}));
    }
    return {};
  }

  Result<> AddChild(int dir_fd, const std::string& name, Node node) {
    const auto named = StatusOf(dir_fd, name);
    if (!named && IsGone(named.error())) return {};
    if (!named) return Unreadable(named.error(), node.root, node.path);
    if (skipped_.contains(named->status.key())) return {};
    if (named->mount_root) {
      listing_.other_mounts.push_back(HostPath(node.root, node.path));
      return {};
    }
    node.status = named->status;
    AddNode(std::move(node));
    return {};
  }

  // Removed, or replaced by something that is no directory, since it was listed.
  static bool IsGone(const Error& error) {
    return error.saved_errno() == ENOENT || error.saved_errno() == ENOTDIR || error.saved_errno() == ELOOP;
  }

  std::string HostPath(uint32_t root, const std::string& path) const {
    return JoinPath(options_.roots[root].host_path, path);
  }

  Result<> Unreadable(Error error, uint32_t root, const std::string& path) const {
    return std::move(error).Context("workspace: cannot look into {} (--exclude leaves it out)", HostPath(root, path));
  }

  const WalkOptions& options_;
  std::set<FileKey> skipped_;
  int64_t newest_settled_ = 0;
  TreeListing listing_;
};

bool LiesIn(std::string_view path, std::string_view directory) {
  if (directory == "/") return true;
  return path == directory || (path.starts_with(directory) && path[directory.size()] == '/');
}

// Whether one of `skipped` is on the way from `outer` to `inner`.
bool Between(std::string_view inner, std::string_view outer, const std::vector<std::string>& skipped) {
  return std::ranges::any_of(
      skipped, [&](const std::string& path) { return LiesIn(inner, path) && LiesIn(path, outer) && path != outer; });
}

Result<std::string> RealPath(const std::string& path) {
  std::error_code error;
  std::string real = std::filesystem::weakly_canonical(path, error).string();
  if (error) return ErrnoError(error.value(), "workspace: {}", path);
  return real;
}

}  // namespace

Result<TreeListing> WalkTree(const WalkOptions& options) {
  Walker walker(options);
  for (uint32_t root = 0; root < options.roots.size(); ++root) BATON_CHECKED(walker.WalkRoot(root));
  return walker.Take();
}

bool IsExcluded(const std::vector<std::string>& excludes, const std::string& path) {
  const size_t slash = path.rfind('/');
  const char* base = slash == std::string::npos ? path.c_str() : path.c_str() + slash + 1;
  return std::ranges::any_of(excludes, [&](const std::string& pattern) {
    if (fnmatch(pattern.c_str(), path.c_str(), 0) == 0) return true;
    return !pattern.contains('/') && fnmatch(pattern.c_str(), base, 0) == 0;
  });
}

Result<NamedStatus> StatusOf(int dir_fd, const std::string& name) {
  struct statx raw{};
  const int flags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | (name.empty() ? AT_EMPTY_PATH : 0);
  const int failed = statx(dir_fd, name.c_str(), flags, STATX_BASIC_STATS, &raw);
  if (const int error = errno; failed != 0) return ErrnoError(error, "look at {}", name.empty() ? "." : name);
  return NamedStatus{.status = FromStatx(raw), .mount_root = (raw.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0};
}

Result<> CheckRoots(const std::vector<WorkspaceRoot>& roots, const std::vector<std::string>& skip_paths) {
  std::set<std::string_view> names;
  std::vector<std::string> real;
  for (const WorkspaceRoot& root : roots) {
    if (!names.insert(root.name).second || root.name.empty()) {
      return MakeError(ErrorCode::kInvalidArgument, "workspace: two directories named '{}'", root.name);
    }
    if (!root.host_path.starts_with('/')) {
      return MakeError(ErrorCode::kInvalidArgument, "workspace: {} is not an absolute path", root.host_path);
    }
    BATON_TRY(std::string path, RealPath(root.host_path));
    real.push_back(std::move(path));
  }
  std::vector<std::string> skipped;
  for (const std::string& skip : skip_paths) {
    BATON_TRY(std::string path, RealPath(skip));
    skipped.push_back(std::move(path));
  }
  for (size_t inner = 0; inner < real.size(); ++inner) {
    for (size_t outer = 0; outer < real.size(); ++outer) {
      if (inner == outer || !LiesIn(real[inner], real[outer]) || Between(real[inner], real[outer], skipped)) continue;
      return MakeError(ErrorCode::kInvalidArgument, "workspace: {} lies in {}, which is kept already; leave it out",
                       roots[inner].host_path, roots[outer].host_path);
    }
  }
  return {};
}

}  // namespace baton
