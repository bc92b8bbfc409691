// Stopping every task of a unit, and letting them go again.
//
// Thread-safety: one thread, the tracer. The destructor lets everything go on that still stands. What could not be
// stopped or let go in time (a thread that waits in vfork(2), or is ending) the kernel lets go when the tracer's
// *thread* ends: who lives on after a capture makes it on a thread that does not.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <set>
#include <utility>
#include <vector>

#include "base/result.h"
#include "engine/native/blocked_write.h"
#include "engine/native/frozen_task.h"

namespace baton {

class FrozenUnit {
 public:
  // The pids of the unit, parents before children; asked again until nothing new shows up.
  using Lister = std::function<Result<std::vector<pid_t>>()>;

  FrozenUnit() = default;
  FrozenUnit(FrozenUnit&& other) noexcept
      : writes_(std::move(other.writes_)),
        processes_(std::exchange(other.processes_, {})),
        unstopped_(std::exchange(other.unstopped_, {})),
        vfork_deadline_(other.vfork_deadline_) {}
  FrozenUnit& operator=(FrozenUnit&&) = delete;
  ~FrozenUnit();

  // Stops all tasks, those that are born meanwhile too. On failure all are let go again.
  // The child of a vfork(2) in progress is given a moment to run another program or to end; after that it is stopped
  // too, and FrozenProcess::vforks says so.
  // kUnavailable: one could not be stopped in time (an uninterruptible wait), or one that stood was killed or replaced
  // (execve) meanwhile: worth another try. kTaskGone: no process is left. kNotSupported: one is
  // traced by somebody else.
  static Result<FrozenUnit> Stop(const Lister& lister);

  std::vector<FrozenProcess>& processes() { return processes_; }
  const std::vector<FrozenProcess>& processes() const { return processes_; }
  // False once one was killed from outside.
  bool AllStand() const;
  void Resume();
  // SIGKILLs every process and reaps what the tracer sees of it.
  Result<> Kill();

 private:
  Result<bool> StopNew(const std::vector<pid_t>& pids);
  Result<bool> StopProcess(FrozenProcess& process);
  Result<bool> StopTasks(FrozenProcess& process);
  Result<bool> AddTask(FrozenProcess& process, pid_t tid);
  bool AddVfork(FrozenProcess& process, const FrozenTask& task);
  bool IsSpared(pid_t pid);
  Result<> Settle(const std::vector<pid_t>& pids);

  SchedulerClock clock_;
  BlockedWrites writes_;
  std::vector<FrozenProcess> processes_;
  std::vector<FrozenTask> unstopped_;  // seized, but did not stop
  std::set<pid_t> spared_;             // vfork children that run on for now, and all below them
  std::chrono::steady_clock::time_point vfork_deadline_;
};

}  // namespace baton
