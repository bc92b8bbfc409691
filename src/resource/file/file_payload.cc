#include "resource/file/file_payload.h"

#include <linux/limits.h>
#include <sys/stat.h>

#include <limits>

#include "resource/common/file_key.h"
#include "resource/common/owner.h"
#include "resource/common/payload.h"
#include "resource/file/origin.h"

namespace baton {
namespace {

constexpr std::string_view kName = "file";
constexpr uint64_t kMaxOffset = std::numeric_limits<int64_t>::max();
constexpr size_t kMaxMemfdName = 249;  // MFD_NAME_MAX_LEN
constexpr uint32_t kAllSeals =
    F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_FUTURE_WRITE | 0x20;  // F_SEAL_EXEC

Error Corrupt(const pb::FilePayload& file, std::string_view what) {
  return MakeError(ErrorCode::kCorrupt, "file \"{}\": {}", file.path(), what);
}

Result<> CheckPath(const pb::FilePayload& file) {
  const std::string& path = file.path();
  if (path.find('\0') != std::string::npos) return Corrupt(file, "NUL in the path");
  if (file.origin() == pb::FilePayload::MEMFD) {
    if (path.size() > kMaxMemfdName) return Corrupt(file, "the name is too long for a memfd");
    return {};
  }
  if (!path.starts_with('/')) return Corrupt(file, "the path is not absolute");
  if (path.size() >= PATH_MAX) return Corrupt(file, "the path is too long");
  return {};
}

Result<> CheckExtents(const pb::FilePayload& file) {
  uint64_t at = 0;
  for (const pb::FileExtent& extent : file.extents()) {
    const bool inside = extent.offset() >= at && extent.offset() <= file.size() && extent.bytes() > 0 &&
                        extent.bytes() <= file.size() - extent.offset();
    if (!inside) return Corrupt(file, fmt::format("extent {}+{} does not fit", extent.offset(), extent.bytes()));
    at = extent.offset() + extent.bytes();
  }
  return {};
}

Result<> CheckLocks(const pb::FilePayload& file) {
  for (const pb::FileLock& lock : file.locks()) {
    if (!pb::FileLock::Type_IsValid(lock.type())) return Corrupt(file, "unknown type of lock");
    if (lock.start() > kMaxOffset || lock.bytes() > kMaxOffset - lock.start() + 1) {
      return Corrupt(file, "a lock reaches beyond the largest offset");
    }
    if (!pb::FileLock::Break_IsValid(lock.broken())) return Corrupt(file, "how far a lease is broken");
    if ((lock.type() == pb::FileLock::PROCESS) != (lock.ns_pid() != 0)) return Corrupt(file, "owner of a lock");
  }
  return {};
}

Result<> CheckNameless(const pb::FilePayload& file) {
  const bool removed_directory = S_ISDIR(file.mode()) && file.origin() == pb::FilePayload::NAMELESS;
  if (!S_ISREG(file.mode()) && !removed_directory) return Corrupt(file, "neither file nor directory, without a name");
  if (removed_directory && file.extents_size() > 0) return Corrupt(file, "content of a directory");
  if (file.of_kernel()) return Corrupt(file, "a file of the kernel without a name");
  if (file.origin() != pb::FilePayload::MEMFD && file.seals() != 0) return Corrupt(file, "seals on no memfd");
  if ((file.seals() & ~kAllSeals) != 0) return Corrupt(file, fmt::format("seals {:#x}", file.seals()));
  return CheckExtents(file);
}

std::string_view TypeOf(const pb::FilePayload& file) {
  if (file.origin() == pb::FilePayload::MEMFD) return "memfd";
  if (S_ISDIR(file.mode())) return file.origin() == pb::FilePayload::NAMELESS ? "removed directory" : "directory";
  if (S_ISLNK(file.mode())) return "symbolic link";
  return file.origin() == pb::FilePayload::NAMELESS ? "deleted file" : "file";
}

std::string_view AccessOf(const pb::FilePayload& file) {
  if ((file.flags() & O_PATH) != 0) return "as a path only";
  switch (file.flags() & O_ACCMODE) {
    case O_RDONLY:
      return "read";
    case O_WRONLY:
      return "write";
    default:
      return "read and write";
  }
}

}  // namespace

Result<pb::FilePayload> ParseFilePayload(std::string_view payload) {
  BATON_TRY(pb::FilePayload file, ParsePayload<pb::FilePayload>(payload, kName));
  if (!pb::FilePayload::Origin_IsValid(file.origin())) return Corrupt(file, "unknown origin");
  BATON_CHECKED(CheckPath(file));
  if ((file.flags() & ~kKeptFlags) != 0) return Corrupt(file, fmt::format("flags {:#o}", file.flags()));
  const bool known_type = S_ISREG(file.mode()) || S_ISDIR(file.mode()) || S_ISLNK(file.mode());
  if (!known_type || file.mode() > (S_IFMT | 07777)) return Corrupt(file, fmt::format("mode {:#o}", file.mode()));
  if (S_ISLNK(file.mode()) && (file.flags() & O_PATH) == 0) return Corrupt(file, "an opened symbolic link");
  if (file.size() > kMaxOffset) return Corrupt(file, fmt::format("size {}", file.size()));
  if (file.offset() > kMaxOffset && !file.of_kernel()) return Corrupt(file, fmt::format("offset {}", file.offset()));
  if (file.origin() != pb::FilePayload::PATH) {
    BATON_CHECKED(CheckNameless(file));
  } else if (file.extents_size() > 0 || file.seals() != 0) {
    return Corrupt(file, "content or seals of a file with a name");
  }
  if (file.of_ended_process() && (!file.of_kernel() || ProcessOfProcPath(file.path()) == 0)) {
    return Corrupt(file, "no file of a process");
  }
  BATON_CHECKED(CheckLocks(file));
  BATON_CHECKED(CheckOwner(file.owner()));
  return file;
}

std::string ContentSpace(const pb::FilePayload& file) { return FileKey(file.device(), file.inode()); }

std::string DescribeFilePayload(const pb::FilePayload& file) {
  std::string text = fmt::format("{} {}, {}", TypeOf(file), file.path(), AccessOf(file));
  if ((file.flags() & O_APPEND) != 0) text += ", appending";
  if (!S_ISREG(file.mode())) return text;
  text += fmt::format(", at {}", file.offset());
  if (!file.of_kernel()) text += fmt::format(" of {} bytes", file.size());
  if (file.locks_size() > 0) text += fmt::format(", locks: {}", file.locks_size());
  return text;
}

}  // namespace baton
