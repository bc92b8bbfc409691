#include "workspace/objects.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <set>
#include <unordered_map>
#include <vector>

#include "base/check.h"
#include "base/fault.h"
#include "base/file.h"
#include "workspace/directory.h"

namespace baton {
namespace {

constexpr std::string_view kIncomingPrefix = "incoming-";
// Up to so many new objects are synced one by one; beyond, one syncfs(2) for all is faster than that many journal
// commits, though it also waits for what others have written.
constexpr size_t kSyncOneByOne = 64;

std::string FolderOf(const ContentHash& hash) { return hash.Hex().substr(0, 2); }
std::string PathOf(const ContentHash& hash) { return FolderOf(hash) + "/" + hash.Hex(); }

bool IsFolder(std::string_view name) {
  return name.size() == 2 && name.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

}  // namespace

Result<ObjectPool> ObjectPool::OpenForReading(const std::string& dir) {
  BATON_TRY(UniqueFd fd, OpenFile(dir, O_RDONLY | O_DIRECTORY));
  return ObjectPool(dir, std::move(fd));
}

Result<ObjectPool> ObjectPool::OpenForWriting(const std::string& dir) {
  BATON_CHECKED(MakeDirectories(dir));
  BATON_TRY(ObjectPool pool, OpenForReading(dir));
  pool.locked_ = flock(pool.fd_.get(), LOCK_EX | LOCK_NB) == 0;
  if (const int error = errno; !pool.locked_ && error == EWOULDBLOCK) {
    return MakeError(ErrorCode::kUnavailable, "{} is in use by another checkpoint or collection; try again later", dir);
  }
  return pool;
}

ObjectPool::ObjectPool(ObjectPool&& other) noexcept
    : dir_(std::move(other.dir_)),
      fd_(std::move(other.fd_)),
      locked_(std::exchange(other.locked_, false)),
      incoming_name_(std::exchange(other.incoming_name_, {})),
      incoming_(std::exchange(other.incoming_, std::nullopt)),
      known_(std::move(other.known_)),
      fresh_(std::move(other.fresh_)) {}

ObjectPool::~ObjectPool() {
  if (incoming_) static_cast<void>(RemoveTree(fd_.get(), incoming_name_));
  // A child forked meanwhile by another thread may still hold the descriptor: closing alone would not unlock.
  if (locked_) static_cast<void>(flock(fd_.get(), LOCK_UN));
}

Result<> ObjectPool::MakeIncoming() {
  if (incoming_) return {};
  static std::atomic<unsigned> counter{0};
  for (int attempt = 0; attempt < 1000; ++attempt) {
    const std::string name = fmt::format("{}{}-{}", kIncomingPrefix, getpid(), counter++);
    const int made = mkdirat(fd_.get(), name.c_str(), 0700);
    const int error = errno;
    if (made != 0 && error == EEXIST) continue;
    if (made != 0) return ErrnoError(error, "make {}/{}", dir_, name);
    BATON_TRY(UniqueFd incoming, OpenFileAt(fd_.get(), name, O_RDONLY | O_DIRECTORY));
    incoming_name_ = name;
    incoming_.emplace(std::move(incoming));
    return {};
  }
  return MakeError(ErrorCode::kConflict, "{} is full of abandoned {}* folders; remove them", dir_, kIncomingPrefix);
}

Result<bool> ObjectPool::HasWhole(const ContentHash& hash, std::span<const std::byte> content) const {
  struct stat status{};
  const int failed = fstatat(fd_.get(), PathOf(hash).c_str(), &status, AT_SYMLINK_NOFOLLOW);
  if (const int error = errno; failed != 0) {
    if (error == ENOENT) return false;
    return ErrnoError(error, "look at object {}", hash.Hex());
  }
  if (static_cast<uint64_t>(status.st_size) != content.size()) return false;
  std::vector<std::byte> stored(content.size());
  return Read(hash, stored).has_value();
}

Result<bool> ObjectPool::Put(const ContentHash& hash, std::span<const std::byte> content) {
  if (known_.contains(hash)) return false;
  BATON_TRY(const bool whole, HasWhole(hash, content));
  if (!whole) {
    BATON_CHECKED(FailPoint("workspace.put"));
    BATON_CHECKED(MakeIncoming());
    BATON_TRY(const UniqueFd fd, OpenFileAt(incoming_->get(), hash.Hex(), O_WRONLY | O_CREAT | O_TRUNC, 0600));
    if (auto written = WriteAll(fd.get(), content); !written) {
      return written.Fail("store {} bytes in {}", content.size(), dir_);
    }
    fresh_.insert(hash);
  }
  known_.insert(hash);
  return !whole;
}

Result<UniqueFd> ObjectPool::MakeScratchFile() {
  BATON_CHECKED(MakeIncoming());
  const std::string name = "scratch";
  BATON_TRY(UniqueFd fd, OpenFileAt(incoming_->get(), name, O_RDWR | O_CREAT | O_EXCL, 0600));
  const int failed = unlinkat(incoming_->get(), name.c_str(), 0);
  if (const int error = errno; failed != 0) return ErrnoError(error, "unlink {}/{}", dir_, name);
  return fd;
}

Result<> ObjectPool::SyncIncoming() {
  if (fresh_.size() > kSyncOneByOne) {
    const int failed = syncfs(incoming_->get());
    if (const int error = errno; failed != 0) return ErrnoError(error, "sync the file system of {}", dir_);
    return {};
  }
  for (const ContentHash& hash : fresh_) {
    BATON_TRY(const UniqueFd fd, OpenFileAt(incoming_->get(), hash.Hex(), O_RDONLY));
    BATON_CHECKED(SyncFd(fd.get(), hash.Hex()));
  }
  return {};
}

Result<> ObjectPool::RenameIncoming() {
  std::set<std::string> folders;
  for (const ContentHash& hash : fresh_) {
    const std::string folder = FolderOf(hash);
    if (folders.insert(folder).second) {
      const int failed = mkdirat(fd_.get(), folder.c_str(), 0700);
      if (const int error = errno; failed != 0 && error != EEXIST) return ErrnoError(error, "make {}/{}", dir_, folder);
    }
    const int failed = renameat(incoming_->get(), hash.Hex().c_str(), fd_.get(), PathOf(hash).c_str());
    if (const int error = errno; failed != 0) return ErrnoError(error, "rename object {} in {}", hash.Hex(), dir_);
  }
  for (const std::string& folder : folders) BATON_CHECKED(SyncDirectory(dir_ + "/" + folder));
  return SyncDirectory(dir_);
}

Result<> ObjectPool::Commit() {
  if (fresh_.empty()) return {};
  BATON_CHECKED(FailPoint("workspace.commit"));
  BATON_CHECKED(SyncIncoming());
  BATON_CHECKED(RenameIncoming());
  fresh_.clear();
  return {};
}

Result<> ObjectPool::Read(const ContentHash& hash, std::span<std::byte> content) const {
  auto fd = OpenFileAt(fd_.get(), PathOf(hash), O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  if (!fd) return fd.Fail("object in {}", dir_);
  struct stat status{};
  const int failed = fstat(fd->get(), &status);
  if (const int error = errno; failed != 0) return ErrnoError(error, "look at object {}", hash.Hex());
  if (!S_ISREG(status.st_mode) || static_cast<uint64_t>(status.st_size) != content.size()) {
    return MakeError(ErrorCode::kCorrupt, "object {}/{} has {} bytes, not {}", dir_, PathOf(hash), status.st_size,
                     content.size());
  }
  if (auto read = PreadExactly(fd->get(), content, 0); !read) return read.Fail("object {}/{}", dir_, PathOf(hash));
  if (HashContent(content) != hash) {
    return MakeError(ErrorCode::kCorrupt, "object {}/{} is damaged: its content has another hash", dir_, PathOf(hash));
  }
  return {};
}

Result<uint64_t> ObjectPool::CollectFolder(const std::string& name, const std::unordered_set<std::string>& keep) {
  BATON_TRY(const UniqueFd folder, OpenFileAt(fd_.get(), name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
  BATON_TRY(const std::vector<DirectoryItem> items, ListDirectory(folder.get()));
  uint64_t freed = 0;
  for (const DirectoryItem& item : items) {
    if (keep.contains(item.name)) continue;
    struct stat status{};
    if (fstatat(folder.get(), item.name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) continue;
    const int failed = unlinkat(folder.get(), item.name.c_str(), 0);
    if (const int error = errno; failed != 0) return ErrnoError(error, "delete {}/{}/{}", dir_, name, item.name);
    freed += static_cast<uint64_t>(status.st_size);
  }
  // Fails where something is left, as it should.
  static_cast<void>(unlinkat(fd_.get(), name.c_str(), AT_REMOVEDIR));
  return freed;
}

Result<uint64_t> ObjectPool::Collect(const std::unordered_set<ContentHash, ContentHashHasher>& needed) {
  std::unordered_map<std::string, std::unordered_set<std::string>> keep;
  for (const ContentHash& hash : needed) keep[FolderOf(hash)].insert(hash.Hex());
  BATON_TRY(const std::vector<DirectoryItem> items, ListDirectory(fd_.get()));
  uint64_t freed = 0;
  for (const DirectoryItem& item : items) {
    if (item.name.starts_with(kIncomingPrefix)) BATON_CHECKED(RemoveTree(fd_.get(), item.name));
    if (!IsFolder(item.name)) continue;
    BATON_TRY(const uint64_t here, CollectFolder(item.name, keep[item.name]));
    freed += here;
  }
  return freed;
}

}  // namespace baton
