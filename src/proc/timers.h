// /proc/PID/timers: the POSIX timers (timer_create(2)) of a process, four lines each. Remaining time and overruns are
// not in it: timer_gettime(2) in the process tells.
//
//   ID: 1
//   signal: 60/00007fff86e452a8
//   notify: signal/pid.2634
//   ClockID: 0
//
// Kernel source: fs/proc/base.c show_timer(); man 5 proc_pid_timers. Needs CONFIG_CHECKPOINT_RESTORE.
// Pure; thread-safe. Errors: kCorrupt, quoting the line.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace baton {

struct ProcTimer {
  enum class Notify { kNone, kSignal, kThread };

  int id = 0;
  int signal = 0;
  uint64_t value = 0;  // sigev_value, all 64 bits
  Notify notify = Notify::kNone;
  bool to_thread = false;  // SIGEV_THREAD_ID: `target` is a thread's number, else the process's
  pid_t target = 0;        // in the reader's pid namespace
  int clock_id = 0;        // negative for a CPU clock of another process
};

Result<std::vector<ProcTimer>> ParseTimers(std::string_view text);

}  // namespace baton
