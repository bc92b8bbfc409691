#include "capsule/stub.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/rseq.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>

#include "base/unique_fd.h"

namespace baton {
namespace {

// The C library registers an rseq area for every thread; the kernel would go on writing to it after the engine has
// unmapped it, and kill the stub.
void UnregisterRseq() {
#ifdef RSEQ_SIG
  if (__rseq_size == 0) return;
  char* area = static_cast<char*>(__builtin_thread_pointer()) + __rseq_offset;
  // The registered length is that of the first version of the structure unless the C library knows a longer one.
  constexpr uint32_t kFirstLength = 32;
  for (const uint32_t length : {kFirstLength, static_cast<uint32_t>(__rseq_size)}) {
    if (syscall(SYS_rseq, area, length, RSEQ_FLAG_UNREGISTER, RSEQ_SIG) == 0) return;
  }
#endif
}

void CloseAllBut(unsigned kept) {
  if (kept > 3) syscall(SYS_close_range, 3U, kept - 1, 0U);
  syscall(SYS_close_range, kept + 1, ~0U, 0U);
}

// `ready_fd` is closed when the stub is as promised.
[[noreturn]] void BeStub(int ready_fd) {
  prctl(PR_SET_PDEATHSIG, 0);
  prctl(PR_SET_DUMPABLE, 1);
  prctl(PR_SET_NAME, "baton-stub");
  CloseAllBut(static_cast<unsigned>(ready_fd));
  const stack_t none{.ss_sp = nullptr, .ss_flags = SS_DISABLE, .ss_size = 0};
  sigaltstack(&none, nullptr);
  for (int number = 1; number < NSIG; ++number) signal(number, SIG_DFL);
  UnregisterRseq();
  sigset_t all_unblocked;
  sigemptyset(&all_unblocked);
  sigprocmask(SIG_SETMASK, &all_unblocked, nullptr);
  close(ready_fd);
  while (true) pause();
}

// Blocks until the other end is closed: by the stub, or by its death.
void AwaitClosed(int fd) {
  char nothing = 0;
  while (read(fd, &nothing, 1) < 0 && errno == EINTR) {
  }
}

}  // namespace

Result<pid_t> SpawnLocalStub(std::optional<pid_t> ns_pid) {
  pid_t wanted = ns_pid.value_or(0);
  clone_args args{};
  args.exit_signal = SIGCHLD;
  if (ns_pid) {
    args.set_tid = reinterpret_cast<uintptr_t>(&wanted);
    args.set_tid_size = 1;
  }
  std::array<int, 2> ends{};
  const int piped = pipe2(ends.data(), O_CLOEXEC);
  if (const int error = errno; piped != 0) return ErrnoError(error, "pipe");
  const UniqueFd ready(ends[0]);
  // Signals stay blocked until the stub has put its actions back: a handler of ours must not run in it.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  sigprocmask(SIG_SETMASK, &all, &before);
  // Not fork(): the C library's would register a robust list and clear_child_tid in the child.
  const auto pid = static_cast<pid_t>(syscall(SYS_clone3, &args, sizeof(args)));
  const int error = errno;
  if (pid == 0) BeStub(ends[1]);
  {
    const UniqueFd closed_here(ends[1]);
  }
  if (pid > 0) AwaitClosed(ready.get());
  sigprocmask(SIG_SETMASK, &before, nullptr);
  if (pid > 0) return pid;
  if (ns_pid && error == EEXIST) return ErrnoError(error, "process number {} is taken", wanted);
  if (ns_pid && error == EINVAL) {
    return Error(ErrorCode::kInvalidArgument, error, fmt::format("process number {} (above kernel.pid_max?)", wanted));
  }
  return ErrnoError(error, "clone3");
}

}  // namespace baton
