// Telling processes apart over time: a process number means something only together with the process's start time and
// the boot it belongs to.
//
// Thread-safety: free functions without state. Errors: kTaskGone for a process that is not there.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <string>

#include "base/result.h"

namespace baton {

struct ProcessId {
  pid_t pid = 0;
  uint64_t start_time = 0;  // clock ticks after boot
};

Result<std::string> BootId();
Result<ProcessId> IdentifyProcess(pid_t pid);
// Whether this very process still exists (a zombie does not).
bool ProcessLives(const ProcessId& id);
// Waits until it is gone. kUnavailable after `limit`.
Result<> AwaitGone(const ProcessId& id, std::chrono::milliseconds limit);

int64_t WallClockMs();

}  // namespace baton
