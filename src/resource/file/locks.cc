#include "resource/file/locks.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/syscall.h>

#include <algorithm>
#include <cerrno>
#include <sstream>
#include <string>

#include "proc/process_files.h"
#include "resource/common/payload.h"

namespace baton {
namespace {

constexpr std::string_view kLockKey = "lock";
constexpr std::string_view kToTheEnd = "EOF";

std::vector<std::string> Words(std::string_view line) {
  std::istringstream stream{std::string(line)};
  std::vector<std::string> words;
  for (std::string word; stream >> word;) words.push_back(word);
  return words;
}

Result<> ParseRange(std::string_view start, std::string_view end, pb::FileLock& lock) {
  BATON_TRY(const uint64_t first, ParseFdInfoNumber(kLockKey, start));
  lock.set_start(first);
  if (end == kToTheEnd) return {};
  BATON_TRY(const uint64_t last, ParseFdInfoNumber(kLockKey, end));
  if (last < first) return MakeError(ErrorCode::kCorrupt, "fdinfo: lock from {} to {}", first, last);
  lock.set_bytes(last - first + 1);
  return {};
}

// fcntl's F_SETLK or F_OFD_SETLK in a process of the unit or the holder.
Result<int64_t> SetRangeLock(RemoteSyscalls& calls, int fd, int command, const pb::FileLock& lock) {
  struct flock range{};
  range.l_type = lock.write() ? F_WRLCK : F_RDLCK;
  range.l_whence = SEEK_SET;
  range.l_start = static_cast<off_t>(lock.start());
  range.l_len = static_cast<off_t>(lock.bytes());
  BATON_TRY(const auto at, calls.PutValue(range));
  return calls.Call(SYS_fcntl, fd, command, at);
}

Result<> Taken(const pb::FilePayload& file, int64_t result) {
  if (result >= 0) return {};
  const int error = static_cast<int>(-result);
  if (error == EAGAIN || error == EACCES) {
    return MakeError(ErrorCode::kConflict,
                     "the lock that the job had on {} is held by somebody else now; end that process first",
                     file.path());
  }
  return ErrnoError(error, "take the lock on {} again", file.path());
}

}  // namespace

namespace {

// Of one that is being broken only what it is to become is shown (lock_get_status(), target_leasetype()); only a write
// lease is ever broken to a read lease.
Result<pb::FileLock> ParseLease(const std::vector<std::string>& words, std::string_view line) {
  pb::FileLock lock;
  lock.set_type(pb::FileLock::LEASE);
  if (words[2] == "ACTIVE" && (words[3] == "READ" || words[3] == "WRITE")) {
    lock.set_write(words[3] == "WRITE");
  } else if (words[2] == "BREAKING" && words[3] == "READ") {
    lock.set_write(true);
    lock.set_broken(pb::FileLock::TO_READ);
  } else if (words[2] == "BREAKING" && words[3] == "UNLCK") {
    lock.set_broken(pb::FileLock::TO_NOTHING);
  } else {
    return MakeError(ErrorCode::kCorrupt, "fdinfo: \"lock: {}\" is not understood", line);
  }
  return lock;
}

// Nobody who may write the file has a read lease on it.
void CompleteLease(const FdFacts& file, pb::FileLock& lock) {
  if (lock.type() != pb::FileLock::LEASE || lock.broken() != pb::FileLock::TO_NOTHING) return;
  lock.set_write((file.info.flags & O_ACCMODE) != O_RDONLY);
}

}  // namespace

Result<pb::FileLock> ParseLock(std::string_view line, pid_t ns_pid) {
  const std::vector<std::string> words = Words(line);
  // Number, kind, "ADVISORY", what, pid, file, start, end.
  if (words.size() == 8 && words[1] == "LEASE") return ParseLease(words, line);
  if (words.size() == 8 && words[1] == "DELEG") {
    return MakeError(ErrorCode::kNotSupported, "has a delegation, which cannot be saved; give it up first");
  }
  const bool known = words.size() == 8 && (words[1] == "FLOCK" || words[1] == "POSIX" || words[1] == "OFDLCK") &&
                     (words[3] == "READ" || words[3] == "WRITE");
  if (!known) return MakeError(ErrorCode::kCorrupt, "fdinfo: \"lock: {}\" is not understood", line);
  pb::FileLock lock;
  lock.set_write(words[3] == "WRITE");
  if (words[1] == "FLOCK") return lock;
  lock.set_type(words[1] == "POSIX" ? pb::FileLock::PROCESS : pb::FileLock::OPEN_FILE);
  if (words[1] == "POSIX") lock.set_ns_pid(static_cast<uint32_t>(ns_pid));
  BATON_CHECKED(ParseRange(words[6], words[7], lock));
  return lock;
}

Result<std::vector<pb::FileLock>> GatherLocks(const FdFacts& file) {
  std::vector<pb::FileLock> locks;
  for (const std::string_view line : file.info.FindAll(kLockKey)) {
    BATON_TRY(pb::FileLock lock, ParseLock(line, 0));
    CompleteLease(file, lock);
    if (lock.type() != pb::FileLock::PROCESS) locks.push_back(std::move(lock));
  }
  std::vector<pid_t> seen;
  for (const FdUser& user : file.users) {
    if (std::ranges::find(seen, user.ns_pid) != seen.end()) continue;
    seen.push_back(user.ns_pid);
    BATON_TRY(const FdInfo info, ReadFdInfo(user.host_pid, user.fd));
    for (const std::string_view line : info.FindAll(kLockKey)) {
      BATON_TRY(pb::FileLock lock, ParseLock(line, user.ns_pid));
      if (lock.type() == pb::FileLock::PROCESS) locks.push_back(std::move(lock));
    }
  }
  return locks;
}

Result<> TakeOwnLocks(const pb::FilePayload& file, int fd, RemoteSyscalls& holder) {
  for (const pb::FileLock& lock : file.locks()) {
    holder.ResetArguments();
    if (lock.type() == pb::FileLock::PROCESS || lock.type() == pb::FileLock::LEASE) continue;
    if (lock.type() == pb::FileLock::FLOCK) {
      BATON_TRY(const int64_t taken, holder.Call(SYS_flock, fd, (lock.write() ? LOCK_EX : LOCK_SH) | LOCK_NB));
      BATON_CHECKED(Taken(file, taken));
    } else {
      BATON_TRY(const int64_t taken, SetRangeLock(holder, fd, F_OFD_SETLK, lock));
      BATON_CHECKED(Taken(file, taken));
    }
  }
  return {};
}

namespace {

// As another program would: the open fails, but the holder of the lease is told.
Result<> BreakLease(const pb::FilePayload& file, const FdUser& user, int access, ArmContext& context) {
  RemoteSyscalls& calls = context.holder();
  BATON_TRY(const RemotePtr<> path, calls.PutString(fmt::format("/proc/{}/fd/{}", user.ns_pid, user.fd)));
  BATON_TRY(const int64_t opened, calls.Call(SYS_openat, AT_FDCWD, path, access | O_NONBLOCK | O_CLOEXEC, 0));
  if (opened == -EAGAIN) return {};
  return MakeError(ErrorCode::kInternal, "the lease on {} was not broken by an open ({})", file.path(), opened);
}

}  // namespace

Result<> TakeLease(const pb::FilePayload& file, std::span<const FdUser> users, ArmContext& context) {
  for (const pb::FileLock& lock : file.locks()) {
    if (lock.type() != pb::FileLock::LEASE || users.empty()) continue;
    BATON_TRY(RemoteSyscalls* const calls, context.Process(users.front().ns_pid));
    BATON_TRY(const int64_t taken,
              calls->Call(SYS_fcntl, users.front().fd, F_SETLEASE, lock.write() ? F_WRLCK : F_RDLCK));
    if (taken == -EAGAIN) {
      return MakeError(ErrorCode::kConflict,
                       "the lease that the job had on {} cannot be taken: others have the file open now", file.path());
    }
    if (taken < 0) return ErrnoError(static_cast<int>(-taken), "take the lease on {} again", file.path());
    if (lock.broken() == pb::FileLock::NOT_BROKEN) continue;
    const int access = lock.broken() == pb::FileLock::TO_READ ? O_RDONLY : O_WRONLY;
    BATON_CHECKED(BreakLease(file, users.front(), access, context));
  }
  return {};
}

Result<> TakeProcessLocks(const pb::FilePayload& file, std::span<const FdUser> users, ArmContext& context) {
  for (const pb::FileLock& lock : file.locks()) {
    if (lock.type() != pb::FileLock::PROCESS) continue;
    const auto owner = std::ranges::find(users, static_cast<pid_t>(lock.ns_pid()), &FdUser::ns_pid);
    if (owner == users.end()) {
      return MakeError(ErrorCode::kCorrupt, "file {}: process {} has a lock but not the file", file.path(),
                       lock.ns_pid());
    }
    BATON_TRY(RemoteSyscalls* const calls, context.Process(owner->ns_pid));
    BATON_TRY(const int64_t taken, SetRangeLock(*calls, owner->fd, F_SETLK, lock));
    BATON_CHECKED(Taken(file, taken));
  }
  return {};
}

}  // namespace baton
