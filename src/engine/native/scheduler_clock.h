// The scheduler's clock of each CPU against CLOCK_MONOTONIC: tells how long a sleeping task has slept.
//
// A task's se.exec_start is read by the clock of the CPU it last ran on. These clocks leave out time in interrupts and
// time stolen by a hypervisor, each CPU for itself, so two of them may be far apart: each is compared with
// CLOCK_MONOTONIC from the CPU itself, where the calling thread goes for a moment.
//
// Sources: proc(5) /proc/PID/sched and field 39 of /proc/PID/stat, kernel/sched/core.c update_rq_clock_task().
// Thread-safety: one thread; its CPU affinity is as before after each call.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <optional>

namespace baton {

class SchedulerClock {
 public:
  struct Sleep {
    int64_t slept_ns = 0;   // not longer than it really was
    uint64_t switches = 0;  // voluntary ones so far: one more after the sleep was broken off by a stop
  };
  // How long the task `tid` of `pid` has not run. None where the kernel does not tell (CONFIG_SCHED_DEBUG).
  std::optional<Sleep> Look(pid_t pid, pid_t tid);
  // Voluntary switches of a task so far.
  static std::optional<uint64_t> Switches(pid_t pid, pid_t tid);

 private:
  std::optional<int64_t> NowOn(int cpu);

  std::map<int, std::optional<int64_t>> behind_ns_;  // CLOCK_MONOTONIC minus the CPU's clock
};

}  // namespace baton
