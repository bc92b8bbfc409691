#include "resource/common/facts.h"

#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>

#include "proc/process_files.h"

namespace baton {

Result<FdFacts> GatherFacts(pid_t host_pid, int fd, int copy) {
  FdFacts facts;
  facts.host_pid = host_pid;
  facts.fd = fd;
  facts.copy = copy;
  BATON_TRY(facts.link, ReadFdLink(getpid(), copy));  // says the same, and is ours to read
  BATON_TRY(facts.info, ReadFdInfo(host_pid, fd));
  const int got = fstat(copy, &facts.status);
  if (const int error = errno; got != 0) return ErrnoError(error, "fstat of {}", facts.link);
  struct statfs file_system{};
  if (fstatfs(copy, &file_system) == 0) facts.fs_magic = static_cast<uint64_t>(file_system.f_type);
  return facts;
}

}  // namespace baton
