#include "resource/common/remote_pidfd.h"

#include <fcntl.h>
#include <sys/syscall.h>

#include <cerrno>

namespace baton {

Result<int64_t> OpenRemotePidfd(RemoteSyscalls& calls, pid_t ns_tid) {
  constexpr int kThread = O_EXCL;  // PIDFD_THREAD, newer than Debian 12's headers
  BATON_TRY(const int64_t process, calls.Call(SYS_pidfd_open, ns_tid, 0));
  if (process != -ENOENT && process != -EINVAL) {
    return process >= 0 ? Result<int64_t>(process) : ErrnoError(static_cast<int>(-process), "pidfd_open {}", ns_tid);
  }
  return calls.Do("pidfd_open of a thread", SYS_pidfd_open, ns_tid, kThread);
}

}  // namespace baton
