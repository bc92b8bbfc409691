// /proc/PID/sched and /proc/PID/task/TID/sched: "key : number" lines of the scheduler.
//
//   bash (4869, #threads: 1)
//   -------------------------------------------------------------------
//   se.exec_start                                :       7831073.796778       milliseconds of the scheduler's clock
//   nr_switches                                  :                   13
//
// Kernel source: kernel/sched/debug.c proc_sched_show_task(). Needs CONFIG_SCHED_DEBUG before Linux 6.15.
// Pure; thread-safe. Errors: kCorrupt, quoting the line.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace baton {

struct ProcSched {
  uint64_t nr_switches = 0;
  // Every "key : number" line in order, nr_switches too. Lines without a colon (numa_faults) are passed over.
  std::vector<std::pair<std::string, double>> values;

  std::optional<double> Find(std::string_view key) const;
};

// The line nr_switches must be there.
Result<ProcSched> ParseSched(std::string_view text);

}  // namespace baton
