#include "base/end_signals.h"

#include <signal.h>
#include <sys/signalfd.h>

#include <cerrno>

namespace baton {

Result<UniqueFd> TakeEndSignals() {
  sigset_t taken;
  sigemptyset(&taken);
  sigaddset(&taken, SIGINT);
  sigaddset(&taken, SIGTERM);
  sigprocmask(SIG_BLOCK, &taken, nullptr);
  signal(SIGPIPE, SIG_IGN);
  const int fd = signalfd(-1, &taken, SFD_CLOEXEC);
  if (const int error = errno; fd < 0) return ErrnoError(error, "signalfd");
  return UniqueFd(fd);
}

}  // namespace baton
