#include "store/pending_directory.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "base/fault.h"
#include "base/file.h"

namespace baton {
namespace {

namespace fs = std::filesystem;

constexpr const char* kLockFile = "lock";

std::string PartialOf(const std::string& name) { return name + ".partial"; }

Error FsError(const std::error_code& error, std::string_view what, const std::string& path) {
  return ErrnoError(error.value(), "{} {}", what, path);
}

// Absolute and without a slash at its end, so that names can be put behind it.
Result<std::string> Normal(const std::string& name) {
  std::error_code error;
  const fs::path path = fs::absolute(name, error).lexically_normal();
  if (error) return FsError(error, "the path", name);
  std::string text = path.string();
  while (text.size() > 1 && text.ends_with('/')) text.pop_back();
  if (text == "/" || text.empty()) return MakeError(ErrorCode::kInvalidArgument, "'{}' is no place for this", name);
  return text;
}

Result<bool> Exists(const std::string& path) {
  std::error_code error;
  const bool exists = fs::exists(fs::symlink_status(path, error));
  if (error && error != std::errc::no_such_file_or_directory) return FsError(error, "look at", path);
  return exists;
}

Result<bool> IsEmptyDirectory(const std::string& path) {
  std::error_code error;
  if (!fs::is_directory(path, error)) return false;
  const bool empty = fs::is_empty(path, error);
  if (error) return FsError(error, "look into", path);
  return empty;
}

Result<> RemoveAll(const std::string& path) {
  std::error_code error;
  fs::remove_all(path, error);
  if (error) return FsError(error, "remove", path);
  return {};
}

// The lock if it is free; kConflict if a writer holds it.
Result<UniqueFd> Lock(const std::string& partial) {
  BATON_TRY(UniqueFd lock, OpenFile(partial + "/" + kLockFile, O_RDWR | O_CREAT, 0600));
  if (flock(lock.get(), LOCK_EX | LOCK_NB) == 0) return lock;
  if (errno == EWOULDBLOCK) return MakeError(ErrorCode::kConflict, "{} is being written by another process", partial);
  return ErrnoError(errno, "lock {}", partial);
}

Result<> SyncTree(const std::string& path) {
  std::error_code error;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(path, error)) {
    const fs::file_status status = entry.symlink_status(error);
    if (error) return FsError(error, "look at", entry.path());
    if (fs::is_directory(status)) {
      BATON_CHECKED(SyncDirectory(entry.path()));
    } else if (fs::is_regular_file(status)) {
      BATON_TRY(const UniqueFd file, OpenFile(entry.path(), O_RDONLY));
      BATON_CHECKED(SyncFd(file.get(), entry.path().string()));
    }
  }
  if (error) return FsError(error, "look into", path);
  return SyncDirectory(path);
}

}  // namespace

Result<DirectoryState> StateOfDirectory(const std::string& name) {
  BATON_TRY(const std::string normal, Normal(name));
  BATON_TRY(const bool complete, Exists(normal));
  if (complete) return DirectoryState::kComplete;
  const std::string partial = PartialOf(normal);
  BATON_TRY(const bool begun, Exists(partial));
  if (!begun) return DirectoryState::kAbsent;
  auto file = OpenFile(partial + "/" + kLockFile, O_RDWR);
  if (!file && file.error().code() == ErrorCode::kNotFound) return DirectoryState::kAbandoned;
  if (!file) return file.Fail();
  if (flock(file->get(), LOCK_SH | LOCK_NB) == 0) return DirectoryState::kAbandoned;
  if (errno == EWOULDBLOCK) return DirectoryState::kBeingWritten;
  return ErrnoError(errno, "lock {}", partial);
}

Result<PendingDirectory> PendingDirectory::Create(const std::string& name) {
  BATON_TRY(std::string normal, Normal(name));
  BATON_TRY(const bool taken, Exists(normal));
  if (taken) {
    BATON_TRY(const bool empty, IsEmptyDirectory(normal));
    if (!empty) return MakeError(ErrorCode::kConflict, "{} is there already; choose another place", normal);
  }
  std::string partial = PartialOf(normal);
  BATON_TRY(const bool begun, Exists(partial));
  if (begun) {
    BATON_TRY(const UniqueFd abandoned, Lock(partial));
    BATON_CHECKED(RemoveAll(partial));
  }
  BATON_CHECKED(MakeDirectories(partial));
  BATON_TRY(UniqueFd lock, Lock(partial));
  return PendingDirectory(std::move(normal), std::move(partial), std::move(lock));
}

PendingDirectory::~PendingDirectory() {
  if (partial_.empty()) return;
  std::error_code ignored;
  fs::remove_all(partial_, ignored);
}

Result<> PendingDirectory::Commit() {
  BATON_CHECKED(FailPoint("store.commit"));
  BATON_CHECKED(SyncTree(partial_));
  DiePoint();
  if (rmdir(name_.c_str()) < 0 && errno != ENOENT) {
    return ErrnoError(errno, "{} came into being meanwhile", name_);
  }
  if (renameat2(AT_FDCWD, partial_.c_str(), AT_FDCWD, name_.c_str(), RENAME_NOREPLACE) < 0) {
    return ErrnoError(errno, "rename {} to {}", partial_, name_);
  }
  DiePoint();
  partial_.clear();
  // Only now: until it has its name, others must see that it is being written. A lock left behind harms nobody.
  std::error_code ignored;
  fs::remove(name_ + "/" + kLockFile, ignored);
  return SyncDirectory(fs::path(name_).parent_path());
}

Result<> RemoveDirectory(const std::string& name) {
  BATON_TRY(const std::string normal, Normal(name));
  const std::string removing = normal + ".removing";
  BATON_CHECKED(RemoveAll(removing));
  if (rename(normal.c_str(), removing.c_str()) < 0) {
    if (errno == ENOENT) return {};
    return ErrnoError(errno, "rename {} to {}", normal, removing);
  }
  return RemoveAll(removing);
}

}  // namespace baton
