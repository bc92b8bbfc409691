#include "resource/file/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <algorithm>
#include <cerrno>

#include "resource/common/owner.h"
#include "resource/file/file_payload.h"
#include "resource/file/locks.h"
#include "resource/file/nameless.h"
#include "resource/file/origin.h"
#include "resource/file/sqlite_identity.h"

namespace baton {
namespace {

constexpr uint64_t kMessageQueues = 0x19800202;  // MQUEUE_MAGIC

int64_t Nanoseconds(const timespec& time) { return time.tv_sec * int64_t{1'000'000'000} + time.tv_nsec; }

Result<pb::FilePayload> DescribeOpenFile(const FdFacts& file, const CaptureContext& context) {
  BATON_TRY(FileOrigin origin, FindOrigin(file, context));
  pb::FilePayload payload;
  payload.set_origin(origin.origin);
  payload.set_path(std::move(origin.path));
  payload.set_of_kernel(origin.of_kernel);
  payload.set_of_ended_process(origin.of_ended_process);
  payload.set_flags(file.info.flags & kKeptFlags);
  payload.set_offset(file.info.pos);
  payload.set_mode(file.status.st_mode);
  payload.set_uid(file.status.st_uid);
  payload.set_gid(file.status.st_gid);
  payload.set_size(static_cast<uint64_t>(file.status.st_size));
  payload.set_device(file.status.st_dev);
  payload.set_inode(file.status.st_ino);
  payload.set_mtime_ns(Nanoseconds(file.status.st_mtim));
  payload.set_atime_ns(Nanoseconds(file.status.st_atim));
  BATON_TRY(const std::vector<pb::FileLock> locks, GatherLocks(file));
  payload.mutable_locks()->Assign(locks.begin(), locks.end());
  if ((payload.flags() & O_PATH) == 0) {
    BATON_TRY(*payload.mutable_owner(), CaptureOwner(file, context));
  }
  return payload;
}

bool HasContent(const pb::FilePayload& payload) {
  return payload.origin() != pb::FilePayload::PATH && S_ISREG(payload.mode());
}

// Its content is read through another open file.
Result<> CheckLeases(const pb::FilePayload& payload) {
  const auto excludes = [](const pb::FileLock& lock) { return lock.type() == pb::FileLock::LEASE && lock.write(); };
  if (std::ranges::none_of(payload.locks(), excludes)) return {};
  return MakeError(ErrorCode::kNotSupported,
                   "has a write lease and no name: reading it would break the lease; give it up first");
}

// --- restore ---

// Looked at before it is opened: opening something else (a FIFO, a device) could hang or do harm.
Result<> CheckFileInPlace(const pb::FilePayload& payload, const std::string& path, RemoteSyscalls& holder) {
  holder.ResetArguments();
  BATON_TRY(const RemotePtr<> at, holder.PutString(path));
  struct stat status{};
  BATON_TRY(const auto status_at, holder.PutValue(status));
  const int follow = S_ISLNK(payload.mode()) ? AT_SYMLINK_NOFOLLOW : 0;
  BATON_TRY(const int64_t looked, holder.Call(SYS_newfstatat, AT_FDCWD, at, status_at, follow));
  if (looked == -ENOENT || looked == -ENOTDIR) {
    return MakeError(ErrorCode::kNotFound, "{} is not there; put it back", path);
  }
  if (looked < 0) return ErrnoError(static_cast<int>(-looked), "look at {}", path);
  BATON_TRY(status, holder.Get(status_at));
  if ((status.st_mode & S_IFMT) != (payload.mode() & S_IFMT)) {
    return MakeError(ErrorCode::kConflict, "{} is of another type now (mode {:o}, was {:o})", path, status.st_mode,
                     payload.mode());
  }
  const bool shorter =
      S_ISREG(payload.mode()) && !payload.of_kernel() && static_cast<uint64_t>(status.st_size) < payload.size();
  if (!shorter) return {};
  return MakeError(ErrorCode::kConflict,
                   "{} has {} bytes, at the checkpoint it had {}: it has been cut or replaced; put the old one back",
                   path, status.st_size, payload.size());
}

std::string_view AccessWanted(unsigned flags) {
  if ((flags & O_PATH) != 0) return "";
  return (flags & O_ACCMODE) == O_RDONLY ? " for reading" : " for writing";
}

Result<int> OpenAt(const pb::FilePayload& payload, const std::string& path, RestoreContext& context) {
  RemoteSyscalls& holder = context.holder();
  BATON_CHECKED(CheckFileInPlace(payload, path, holder));
  holder.ResetArguments();
  BATON_TRY(const RemotePtr<> at, holder.PutString(path));
  BATON_TRY(const int64_t fd, holder.Do(fmt::format("open {}{}", path, AccessWanted(payload.flags())), SYS_openat,
                                        AT_FDCWD, at, static_cast<int>(payload.flags()) | O_CLOEXEC));
  return static_cast<int>(fd);
}

Result<> Seek(const pb::FilePayload& payload, int fd, RemoteSyscalls& holder) {
  if (payload.offset() == 0 || (payload.flags() & O_PATH) != 0) return {};
  BATON_CHECKED(holder.Do(fmt::format("go to position {} of {}", payload.offset(), payload.path()), SYS_lseek, fd,
                          payload.offset(), SEEK_SET));
  return {};
}

Result<int> OpenByPath(const pb::FilePayload& payload, RestoreContext& context) {
  BATON_TRY(const int fd, OpenAt(payload, context.MapPath(payload.path()), context));
  BATON_CHECKED(Seek(payload, fd, context.holder()));
  return fd;
}

// Opened while there is such a process: afterwards it reads as it did.
Result<int> OpenOfEndedProcess(const pb::FilePayload& payload, RestoreContext& context) {
  const pid_t ended = ProcessOfProcPath(payload.path());
  int fd = -1;
  BATON_CHECKED(context.WithShortLived(ended, [&](pid_t number) -> Result<> {
    std::string path = payload.path();
    path.replace(std::string_view("/proc/").size(), std::to_string(ended).size(), std::to_string(number));
    BATON_TRY(fd, OpenAt(payload, path, context));
    return Seek(payload, fd, context.holder());
  }));
  return fd;
}

Result<int> Open(const pb::FilePayload& payload, RestoreContext& context) {
  if (payload.of_ended_process()) return OpenOfEndedProcess(payload, context);
  if (payload.origin() == pb::FilePayload::PATH) return OpenByPath(payload, context);
  BATON_TRY(const int fd, OpenNameless(payload, context));
  BATON_CHECKED(Seek(payload, fd, context.holder()));
  return fd;
}

class FileKind : public ResourceKind {
 public:
  std::string_view Name() const override { return "file"; }

  // Namespaces, pidfds and the like are regular files too, but their links are no paths.
  bool Claims(const FdFacts& file) const override {
    const bool of_queues = file.fs_magic == kMessageQueues && !file.IsDirectory();  // the kind mqueue
    if (!file.link.starts_with('/') || of_queues) return false;
    return file.IsRegular() || file.IsDirectory() || S_ISLNK(file.status.st_mode);
  }

  Result<> Check(const FdFacts& file, const CaptureContext& context) const override {
    BATON_TRY(const pb::FilePayload payload, DescribeOpenFile(file, context));
    BATON_CHECKED(ParseFilePayload(payload.SerializeAsString()));
    if (!HasContent(payload)) return {};
    BATON_CHECKED(CheckLeases(payload));
    return CheckContent(file);
  }

  Result<std::string> Capture(const FdFacts& file, CaptureContext& context) const override {
    BATON_TRY(pb::FilePayload payload, DescribeOpenFile(file, context));
    if (HasContent(payload)) BATON_CHECKED(SaveContent(file, payload, context));
    return payload.SerializeAsString();
  }

  Result<int> Restore(std::string_view payload, uint32_t, RestoreContext& context) const override {
    BATON_TRY(const pb::FilePayload file, ParseFilePayload(payload));
    BATON_TRY(const int fd, Open(file, context));
    BATON_CHECKED(TakeOwnLocks(file, fd, context.holder()));
    return fd;
  }

  Result<> Arm(std::string_view payload, std::span<const FdUser> users, ArmContext& context) const override {
    BATON_TRY(const pb::FilePayload file, ParseFilePayload(payload));
    BATON_CHECKED(Seal(file, users, context));
    BATON_CHECKED(RenewSqliteIdentity(file, users, context));
    BATON_CHECKED(TakeProcessLocks(file, users, context));
    BATON_CHECKED(RestoreOwner(file.owner(), users, context));
    return TakeLease(file, users, context);
  }

  Result<std::string> Describe(std::string_view payload) const override {
    BATON_TRY(const pb::FilePayload file, ParseFilePayload(payload));
    return DescribeFilePayload(file);
  }
};

}  // namespace

std::unique_ptr<ResourceKind> MakeFileKind() { return std::make_unique<FileKind>(); }

}  // namespace baton
