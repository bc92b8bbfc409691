// A blank stub being turned into a restored process or thread: it runs nothing but our system calls, from a boot area
// that we mapped into it. PTRACE_O_EXITKILL holds for it and all it makes: if this process dies, so does the half-made
// unit.
//
// Thread-safety: only from the thread that took the stub. Not copyable; heap allocation is fine.
#pragma once

#include <sched.h>
#include <sys/types.h>

#include <csignal>
#include <memory>

#include "base/result.h"
#include "task/remote_syscalls.h"

namespace baton {

// The boot area of a restore: the same address in every process, free in all their layouts.
struct BootArea {
  static constexpr size_t kCodeBytes = 4096;
  static constexpr size_t kDataBytes = 64 * 4096;
  static constexpr size_t kBytes = kCodeBytes + kDataBytes;
  RemotePtr<> start;

  RemotePtr<> code() const { return start; }
  RemotePtr<> data() const { return start + kCodeBytes; }
};

class BlankTask {
 public:
  static constexpr int kMarkerSignal = 23;  // SIGURG: default action is to ignore it

  // Seizes the stub `host_pid`, maps the boot area in it and unmaps everything else. `ns_pid` is its own number. If
  // that fails, the stub is dead.
  static Result<std::unique_ptr<BlankTask>> TakeStub(pid_t host_pid, pid_t ns_pid, const BootArea& boot);
  struct ForkOptions {
    uint64_t flags = 0;  // of CLONE_VM, CLONE_SIGHAND, CLONE_FILES, CLONE_FS, CLONE_PARENT
    int exit_signal = SIGCHLD;
  };
  // A child of `parent` (with CLONE_PARENT: of its parent) with the number `ns_pid` (any if 0), blank as `parent` is
  // now.
  static Result<std::unique_ptr<BlankTask>> Fork(BlankTask& parent, pid_t ns_pid, const ForkOptions& options);
  static Result<std::unique_ptr<BlankTask>> Fork(BlankTask& parent, pid_t ns_pid) { return Fork(parent, ns_pid, {}); }
  // A thread of `maker`'s process. `shared`: of CLONE_FILES, CLONE_FS.
  static Result<std::unique_ptr<BlankTask>> Clone(BlankTask& maker, pid_t ns_tid,
                                                  uint64_t shared = CLONE_FILES | CLONE_FS);

  pid_t host_tid() const { return calls_.tid(); }
  pid_t host_pid() const { return memory_->pid(); }
  pid_t ns_pid() const { return marker_.ns_tgid; }
  pid_t ns_tid() const { return marker_.ns_tid; }
  RemoteSyscalls& calls() { return calls_; }
  const RemoteMemory& memory() const { return *memory_; }
  const Registers& base() const { return base_; }
  const Marker& marker() const { return marker_; }

  // What it installs from here on does not look at the calls that are still made in it. See ptrace.h.
  Result<> SuspendSeccomp();

  // Lets it end with this wait status and waits until it is dead. Its parent stub never waits, so it stays a zombie.
  Result<> Exit(int status);
  // Lets a thread that is not the first one end.
  Result<> ExitThread();
  // Lets a first thread end with this status while others of its process stay, and waits until it has. It is not traced
  // any more.
  Result<> EndAlone(int status);

 private:
  BlankTask(pid_t tid, std::shared_ptr<RemoteMemory> memory, InjectionSite site, const Registers& base, Marker marker);
  static Result<std::unique_ptr<BlankTask>> Take(pid_t host_pid, pid_t ns_pid, const BootArea& boot);
  static Result<std::unique_ptr<BlankTask>> Adopt(BlankTask& maker, RemoteCall call, pid_t ns_pid, bool thread);

  std::shared_ptr<RemoteMemory> memory_;
  Registers base_;
  Marker marker_;
  RemoteSyscalls calls_;
};

}  // namespace baton
