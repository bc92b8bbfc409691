// Capsule: what a unit runs in. New pid, time, ipc, uts and mount namespaces (and a user namespace for ordinary users)
// around Baton's init, which is pid 1 there, made anew for every attempt and never saved; the job's first process is
// pid 2. Works as an ordinary user with no privilege, and as root without the user namespace.
//
// The life of a unit hangs on the process that made the capsule (the keeper): init has a parent-death signal, and its
// death is the death of every process inside, by the kernel. The thread that calls Create must live as long as the
// capsule: the parent-death signal fires when that *thread* ends. So: make it on the keeper's main thread, and before
// any helper thread (the children run C++ code after a fork).
//
// Ownership: movable; the destructor kills and reaps everything. Thread-safety: none, one thread uses a Capsule.
// Error codes: kNotSupported where the system forbids it, with what to change; kUnavailable once init is gone.
#pragma once

#include <sys/types.h>

#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "capsule/capsule_options.h"
#include "capsule/exec_command.h"
#include "capsule/init_channel.h"

namespace baton {

namespace pb {
class InitCommand;
class InitEvent;
}  // namespace pb

// The end of a process that init watches, or of init itself (and with it of everything).
struct CapsuleEvent {
  enum class Kind { kExited, kInitGone };
  Kind kind = Kind::kExited;
  pid_t ns_pid = 0;     // kExited: in the capsule's pid namespace
  int wait_status = 0;  // kExited: as wait(2) gives it
};

// A process inside: its number as the keeper sees it, and in the capsule.
struct CapsulePid {
  pid_t host_pid = 0;
  pid_t ns_pid = 0;
};

class Capsule {
 public:
  static Result<Capsule> Create(const CapsuleOptions& options);
  Capsule(Capsule&& other) noexcept;
  Capsule& operator=(Capsule&& other) = delete;
  Capsule(const Capsule&) = delete;
  Capsule& operator=(const Capsule&) = delete;
  // Kills init, waits until the last process is gone, and removes the empty mount points Create made.
  ~Capsule();

  // Init as the keeper sees it.
  pid_t init_pid() const { return init_pid_; }
  // The job's root process in the capsule's numbers; 0 before SpawnCommand or WatchRoot.
  pid_t root_ns_pid() const { return root_ns_pid_; }

  // Starts the job's root process (ns pid 2 in a fresh capsule) and returns once the program runs. When it ends, what
  // is left of the capsule gets SIGTERM, five seconds, SIGKILL; then init ends too. Errors of the program itself:
  // kNotFound if there is none of that name, kNotSupported (EACCES, ENOEXEC ...) if it cannot be executed; kIo for the
  // rest (working directory, fork).
  Result<CapsulePid> SpawnCommand(const CommandLine& command);
  // A blank stub (stub.h) as init's child. kConflict if `ns_pid` is taken.
  Result<CapsulePid> SpawnStub(std::optional<pid_t> ns_pid);
  // Makes a stub, once restored, the job's root process, as if SpawnCommand had started it.
  Result<> WatchRoot(pid_t ns_pid);

  // Readable when NextEvent may have something. Events that came in while a spawn waited for its answer do not show
  // here: call NextEvent until it is empty after each call above.
  int event_fd() const { return channel_->fd(); }
  // Does not block. After kInitGone nothing more comes.
  Result<std::optional<CapsuleEvent>> NextEvent();

  // To the process group of the root process, as a terminal would.
  Result<> SignalJob(int signal);
  // SIGKILL to everything inside; returns when init is reaped. REQUIRES: the caller traces nothing in the capsule
  // (a namespace ends only when the tracers of its processes have reaped them); as a last resort it reaps all children
  // of the caller.
  Result<> Kill();

 private:
  Capsule(InitChannel channel, pid_t init_pid, std::vector<std::string> made_directories);

  Result<CapsulePid> Spawn(const pb::InitCommand& command, const std::string& what);
  Result<> Send(pb::InitCommand command);
  Result<std::optional<CapsuleEvent>> Receive(bool nonblocking, std::optional<InitChannel::Received>* answer);

  std::optional<InitChannel> channel_;
  pid_t init_pid_ = 0;  // 0: reaped, or moved from
  pid_t root_ns_pid_ = 0;
  std::deque<CapsuleEvent> events_;
  bool init_gone_ = false;
  std::vector<std::string> made_directories_;  // in the order made
};

}  // namespace baton
