#include "store/job_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cerrno>

#include "base/file.h"

namespace baton {
namespace {

std::string Owner() {
  utsname host{};
  uname(&host);
  return fmt::format("process {} on host {}", getpid(), static_cast<const char*>(host.nodename));
}

Result<> SayOwner(int file, const std::string& path) {
  const int cut = ftruncate(file, 0);
  if (const int error = errno; cut != 0) return ErrnoError(error, "{}", path);
  if (auto said = WriteAll(file, Owner()); !said) return said.Fail("{}", path);
  return {};
}

}  // namespace

Result<JobLock> JobLock::Take(const std::string& root, const std::string& job) {
  BATON_CHECKED(MakeDirectories(root));
  const std::string path = root + "/.lock-" + job;
  auto file = OpenFile(path, O_RDWR | O_CREAT, 0600);
  if (!file) {
    const int error = file.error().saved_errno();
    if (error == EROFS || error == EACCES) return JobLock(std::nullopt);
    return file.Fail();
  }
  const int locked = flock(file->get(), LOCK_EX | LOCK_NB);
  const int error = errno;
  if (locked != 0 && (error == ENOLCK || error == EOPNOTSUPP)) return JobLock(std::nullopt);
  if (locked != 0 && error != EWOULDBLOCK) return ErrnoError(error, "lock {}", path);
  if (locked != 0) {
    return MakeError(ErrorCode::kConflict, "'{}' is running: its checkpoints in {} belong to {}", job, root,
                     ReadFile(path).value_or("another keeper"));
  }
  BATON_CHECKED(SayOwner(file->get(), path));
  return JobLock(std::move(*file));
}

}  // namespace baton
