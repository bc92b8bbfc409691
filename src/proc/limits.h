// /proc/PID/limits: the resource limits of a process as a table of fixed columns.
//
//   Limit                     Soft Limit           Hard Limit           Units
//   Max open files            1024                 524288               files
//
// Kernel source: fs/proc/base.c proc_pid_limits(); man 5 proc_pid_limits.
// Pure; thread-safe. Errors: kCorrupt, quoting the line.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace baton {

struct ProcLimit {
  // "unlimited"; the same value as RLIM64_INFINITY.
  static constexpr uint64_t kUnlimited = ~uint64_t{0};

  std::string name;  // "Max open files"
  uint64_t soft = 0;
  uint64_t hard = 0;
  std::string units;  // "files", "bytes", ...; empty for some
};

Result<std::vector<ProcLimit>> ParseLimits(std::string_view text);

}  // namespace baton
