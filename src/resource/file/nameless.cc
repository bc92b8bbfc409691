#include "resource/file/nameless.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <numeric>

#include "base/file.h"
#include "resource/file/file_payload.h"

namespace baton {
namespace {

using Extents = std::vector<pb::FileExtent>;

// An open file of our own, so that looking for holes does not move the position that the unit's processes share.
Result<UniqueFd> OpenAgain(int fd) {
  auto opened = OpenFile(fmt::format("/proc/self/fd/{}", fd), O_RDONLY | O_NONBLOCK);
  if (!opened) return opened.Fail("has been deleted, and its content cannot be read");
  return opened;
}

Result<Extents> FindExtents(int fd, uint64_t size) {
  Extents extents;
  for (uint64_t at = 0; at < size;) {
    const off_t data = lseek(fd, static_cast<off_t>(at), SEEK_DATA);
    if (const int error = errno; data < 0) {
      if (error == ENXIO) break;
      return ErrnoError(error, "look for data at {}", at);
    }
    const off_t hole = lseek(fd, data, SEEK_HOLE);
    if (const int error = errno; hole < 0) return ErrnoError(error, "look for a hole at {}", data);
    const uint64_t end = std::min(static_cast<uint64_t>(hole), size);
    if (static_cast<uint64_t>(data) >= end) break;
    pb::FileExtent extent;
    extent.set_offset(static_cast<uint64_t>(data));
    extent.set_bytes(end - extent.offset());
    extents.push_back(extent);
    at = end;
  }
  return extents;
}

uint64_t TotalBytes(const auto& extents) {
  return std::accumulate(extents.begin(), extents.end(), uint64_t{0},
                         [](uint64_t sum, const pb::FileExtent& extent) { return sum + extent.bytes(); });
}

Result<Extents> FindAllowedExtents(const FdFacts& file, int fd, uint64_t max_bytes) {
  BATON_TRY(Extents extents, FindExtents(fd, static_cast<uint64_t>(file.status.st_size)));
  if (const uint64_t bytes = TotalBytes(extents); bytes > max_bytes) {
    return MakeError(ErrorCode::kNotSupported,
                     "is a file without a name (deleted or memfd) with {} MiB in it, more than the {} MiB that are "
                     "saved; give it a name",
                     bytes >> 20U, max_bytes >> 20U);
  }
  return extents;
}

// --- restore ---

constexpr std::string_view kLastResort = "/tmp";

Result<int64_t> MakeMemfd(const std::string& name, RemoteSyscalls& holder) {
  BATON_TRY(const RemotePtr<> at, holder.PutString(name));
  return holder.Do("memfd_create", SYS_memfd_create, at, MFD_CLOEXEC | MFD_ALLOW_SEALING);
}

// In the same directory if possible: files there may be large, or on a disk for a reason.
Result<int64_t> MakeDeleted(const std::string& path, RemoteSyscalls& holder) {
  const std::string directory = path.substr(0, std::max<size_t>(1, path.rfind('/')));
  for (const std::string_view place : {std::string_view(directory), kLastResort}) {
    BATON_TRY(const RemotePtr<> at, holder.PutString(place));
    BATON_TRY(const int64_t fd, holder.Call(SYS_openat, AT_FDCWD, at, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
    if (fd >= 0) return fd;
  }
  return MakeMemfd(path.substr(path.rfind('/') + 1).substr(0, 200), holder);
}

// Under its old name if that is free: it is seen in /proc/PID/fd.
Result<int64_t> MakeRemovedDirectory(const std::string& path, RemoteSyscalls& holder) {
  constexpr int kTries = 100;
  const std::string beside = path.substr(0, path.rfind('/'));
  for (int attempt = 0; attempt < kTries; ++attempt) {
    holder.ResetArguments();
    std::string name = path;
    if (attempt > 0) name = fmt::format("{}/.baton-removed-{}", attempt % 2 == 1 ? beside : kLastResort, attempt);
    BATON_TRY(const RemotePtr<> at, holder.PutString(name));
    BATON_TRY(const int64_t made, holder.Call(SYS_mkdirat, AT_FDCWD, at, 0700));
    if (made < 0) continue;
    auto opened = holder.Do("open " + name, SYS_openat, AT_FDCWD, at, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    BATON_CHECKED(holder.Do("remove " + name, SYS_unlinkat, AT_FDCWD, at, AT_REMOVEDIR));
    return opened;
  }
  return MakeError(ErrorCode::kIo, "no directory can be made in {} or {}", beside, kLastResort);
}

Result<> Fill(const pb::FilePayload& payload, int fd, RestoreContext& context) {
  const int sized = ftruncate(fd, static_cast<off_t>(payload.size()));
  if (const int error = errno; sized != 0) {
    return ErrnoError(error, "set the size of deleted file {} to {}", payload.path(), payload.size());
  }
  if (payload.extents().empty()) return {};
  BATON_TRY(const std::vector<std::byte> content, context.Content(ContentSpace(payload)));
  if (content.size() != TotalBytes(payload.extents())) {
    return MakeError(ErrorCode::kCorrupt, "deleted file {}: content of {} bytes for {}", payload.path(), content.size(),
                     TotalBytes(payload.extents()));
  }
  std::span<const std::byte> rest = content;
  for (const pb::FileExtent& extent : payload.extents()) {
    BATON_CHECKED(PwriteAll(fd, rest.first(extent.bytes()), extent.offset()));
    rest = rest.subspan(extent.bytes());
  }
  return {};
}

// As far as we may, and in this order: the times are the owner's to set.
Result<> SetTimesAndOwner(const pb::FilePayload& payload, int copy, int fd, RemoteSyscalls& holder) {
  constexpr int64_t kSecond = 1'000'000'000;
  const auto spec = [](int64_t ns) { return timespec{ns / kSecond, ns % kSecond}; };
  const std::array<timespec, 2> times{spec(payload.atime_ns()), spec(payload.mtime_ns())};
  [[maybe_unused]] const int timed = futimens(copy, times.data());
  BATON_CHECKED(holder.Call(SYS_fchown, fd, payload.uid(), payload.gid()));
  return {};
}

Result<int> MakeFile(const pb::FilePayload& payload, RestoreContext& context) {
  RemoteSyscalls& holder = context.holder();
  if (S_ISDIR(payload.mode())) {
    auto directory = MakeRemovedDirectory(context.MapPath(payload.path()), holder);
    if (!directory) return directory.Fail("removed directory {}", payload.path());
    return static_cast<int>(*directory);
  }
  auto made = payload.origin() == pb::FilePayload::MEMFD ? MakeMemfd(payload.path(), holder)
                                                         : MakeDeleted(context.MapPath(payload.path()), holder);
  if (!made) return made.Fail("deleted file {}", payload.path());
  const auto fd = static_cast<int>(*made);
  BATON_TRY(const UniqueFd copy, context.CopyFromHolder(fd));
  BATON_CHECKED(Fill(payload, copy.get(), context));
  BATON_CHECKED(SetTimesAndOwner(payload, copy.get(), fd, holder));
  return fd;
}

Result<int> FindOrMakeFile(const pb::FilePayload& payload, RestoreContext& context) {
  const std::string key = ContentSpace(payload);
  if (const auto known = context.shared().find(key); known != context.shared().end()) return known->second;
  BATON_TRY(const int fd, MakeFile(payload, context));
  context.shared()[key] = fd;
  return fd;
}

// By the holder: the file may be another user's.
Result<> SetMode(RemoteSyscalls& holder, int fd, mode_t mode) {
  BATON_CHECKED(holder.Do("set the mode of a deleted file", SYS_fchmod, fd, mode));
  return {};
}

Result<> AddSeals(RemoteSyscalls& calls, int fd, uint32_t seals) {
  BATON_TRY(const int64_t present, calls.Call(SYS_fcntl, fd, F_GET_SEALS));
  if (present >= 0 && (static_cast<uint32_t>(present) & seals) == seals) return {};
  // The descriptor itself may be read-only; closing this one drops locks of the process, so it comes before them.
  BATON_TRY(const RemotePtr<> path, calls.PutString(fmt::format("/proc/self/fd/{}", fd)));
  BATON_TRY(const int64_t writable,
            calls.Do("open a memfd to seal it", SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC));
  BATON_TRY(const int64_t sealed, calls.Call(SYS_fcntl, writable, F_ADD_SEALS, seals));
  BATON_CHECKED(calls.Do("close", SYS_close, writable));
  if (sealed < 0) return ErrnoError(static_cast<int>(-sealed), "seal a memfd ({:#x})", seals);
  return {};
}

}  // namespace

Result<> CheckContent(const FdFacts& file, uint64_t max_bytes) {
  BATON_TRY(const UniqueFd own, OpenAgain(file.copy));
  BATON_CHECKED(FindAllowedExtents(file, own.get(), max_bytes));
  return {};
}

Result<> SaveContent(const FdFacts& file, pb::FilePayload& payload, CaptureContext& context) {
  BATON_TRY(const UniqueFd own, OpenAgain(file.copy));
  BATON_TRY(const Extents extents, FindAllowedExtents(file, own.get(), kMaxContent));
  payload.mutable_extents()->Assign(extents.begin(), extents.end());
  if (payload.origin() == pb::FilePayload::MEMFD) {
    const int seals = fcntl(own.get(), F_GET_SEALS);
    if (const int error = errno; seals < 0) return ErrnoError(error, "read the seals of {}", file.link);
    payload.set_seals(static_cast<uint32_t>(seals));
  }
  const std::string space = ContentSpace(payload);
  if (extents.empty() || context.HasContent(space)) return {};
  std::vector<std::byte> content(TotalBytes(extents));
  std::span<std::byte> rest = content;
  for (const pb::FileExtent& extent : extents) {
    BATON_CHECKED(PreadExactly(own.get(), rest.first(extent.bytes()), extent.offset()));
    rest = rest.subspan(extent.bytes());
  }
  context.AddContent(space, std::move(content));
  return {};
}

Result<int> OpenNameless(const pb::FilePayload& payload, RestoreContext& context) {
  BATON_TRY(const int file, FindOrMakeFile(payload, context));
  RemoteSyscalls& holder = context.holder();
  // What an open file may do was decided when it was opened first; the mode of today must not be in the way.
  BATON_CHECKED(SetMode(holder, file, 0700));
  auto flags = static_cast<int>(payload.flags() & ~static_cast<unsigned>(O_NOFOLLOW | O_DIRECTORY)) | O_CLOEXEC;
  if (S_ISDIR(payload.mode())) flags |= O_DIRECTORY;
  BATON_TRY(const RemotePtr<> at, holder.PutString(fmt::format("/proc/self/fd/{}", file)));
  BATON_TRY(const int64_t fd,
            holder.Do(fmt::format("open deleted file {} again", payload.path()), SYS_openat, AT_FDCWD, at, flags));
  BATON_CHECKED(SetMode(holder, file, payload.mode() & 07777));
  return static_cast<int>(fd);
}

Result<> Seal(const pb::FilePayload& payload, std::span<const FdUser> users, ArmContext& context) {
  if (payload.seals() == 0 || users.empty()) return {};
  BATON_TRY(RemoteSyscalls* const calls, context.Process(users.front().ns_pid));
  return AddSeals(*calls, users.front().fd, payload.seals());
}

}  // namespace baton
