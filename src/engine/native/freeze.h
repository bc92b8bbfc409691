// Stopping every task of a unit, and letting them go again.
//
// Thread-safety: one thread, the tracer. The destructor lets everything go on that still stands.
#pragma once

#include <sys/types.h>

#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include "base/result.h"
#include "engine/native/blocked_write.h"
#include "engine/native/pending_call.h"
#include "task/arch/x86_64/registers.h"

namespace baton {

struct FrozenTask {
  pid_t tid = 0;
  bool group_stopped = false;  // in a job-control stop
  int group_stop_signal = 0;
  std::optional<PendingCall> before;  // the system call it slept in just before the stop
  Registers registers;                // as the program must see them (restartable sequences already aborted)
  std::optional<Registers> thaw;      // other registers to go on with: a system call that must be made again
};

struct FrozenProcess {
  pid_t pid = 0;
  bool zombie = false;
  std::vector<FrozenTask> tasks;  // the leader first; empty for a zombie
};

class FrozenUnit {
 public:
  // The pids of the unit, parents before children; asked again until nothing new shows up.
  using Lister = std::function<Result<std::vector<pid_t>>()>;

  FrozenUnit() = default;
  FrozenUnit(FrozenUnit&& other) noexcept
      : writes_(std::move(other.writes_)),
        processes_(std::exchange(other.processes_, {})),
        stuck_(std::exchange(other.stuck_, {})) {}
  FrozenUnit& operator=(FrozenUnit&&) = delete;
  ~FrozenUnit();

  // Stops all tasks. kUnavailable if one cannot be stopped in time (a vfork parent, an uninterruptible wait):
  // everything is let go again; worth another try. kNotSupported if one is traced by somebody else, or its leader is
  // gone.
  static Result<FrozenUnit> Stop(const Lister& lister);

  std::vector<FrozenProcess>& processes() { return processes_; }
  Result<> Resume();
  // SIGKILLs every process and reaps what the tracer sees of it.
  Result<> Kill();

 private:
  Result<bool> StopNew(const std::vector<pid_t>& pids);
  Result<bool> StopTasks(FrozenProcess& process);
  Result<bool> StopTask(FrozenProcess& process, pid_t tid);

  SchedulerClock clock_;
  BlockedWrites writes_;
  std::vector<FrozenProcess> processes_;
  std::vector<pid_t> stuck_;  // seized and told to stop, but did not
};

}  // namespace baton
