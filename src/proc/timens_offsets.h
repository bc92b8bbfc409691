// /proc/PID/timens_offsets: the clock offsets of the time namespace that the process's *children* are made in (its own,
// unless it has unshared and not forked yet).
//
//   monotonic           0         0
//   boottime           -5 999999999        seconds (may be negative), nanoseconds
//
// Kernel source: kernel/time/namespace.c proc_timens_show_offsets(); man 7 time_namespaces.
// Pure; thread-safe. Errors: kNotFound for an empty text (a zombie has left its namespaces); kCorrupt, quoting the
// line.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/result.h"

namespace baton {

struct TimensOffset {
  int64_t seconds = 0;
  int64_t nanoseconds = 0;  // 0 .. 999,999,999
};

struct TimensOffsets {
  TimensOffset monotonic;
  TimensOffset boottime;
};

// Both lines must be there.
Result<TimensOffsets> ParseTimensOffsets(std::string_view text);

}  // namespace baton
