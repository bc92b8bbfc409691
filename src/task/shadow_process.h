// A copy of a stopped process that only keeps its memory as it is now (copy on write), so that the process itself can
// go on while the copy is read. It never runs a single instruction of the program.
//
// The process makes a helper that shares its memory, the helper makes the shadow by fork(2) and ends, and the process
// waits for the helper: so the shadow is nobody's child but the reaper's, and the program is told nothing. Should this
// process die meanwhile, the helper and the shadow end at once by themselves.
//
// What fork(2) does not copy is not in the shadow: shared mappings, MADV_DONTFORK, MADV_WIPEONFORK (madvise(2)).
//
// Thread-safety: to be made by the tracer's thread; read and destroyed by any one.
#pragma once

#include <sys/types.h>

#include <utility>

#include "base/result.h"
#include "task/remote_syscalls.h"

namespace baton {

class ShadowProcess {
 public:
  // `calls` and `marker` are of a borrowed thread of the process. kUnavailable if the system has no room for another
  // process, or for its page tables; nothing is left then.
  static Result<ShadowProcess> Make(RemoteSyscalls& calls, const Marker& marker);
  ShadowProcess(ShadowProcess&& other) noexcept : pid_(std::exchange(other.pid_, 0)) {}
  ShadowProcess& operator=(ShadowProcess&&) = delete;
  // Kills it.
  ~ShadowProcess();

  pid_t pid() const { return pid_; }

 private:
  explicit ShadowProcess(pid_t pid) : pid_(pid) {}
  pid_t pid_;  // 0: moved from
};

}  // namespace baton
