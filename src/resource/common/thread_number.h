// What the unit calls a thread that we know by our number.
#pragma once

#include <sys/types.h>

#include <optional>

#include "resource/kind.h"

namespace baton {

struct ThreadNumber {
  pid_t ns_tid = 0;
  pid_t ns_pid = 0;  // the process it belongs to
};

// None if it is not of the unit, or gone. Source: /proc/TID/status.
std::optional<ThreadNumber> FindThread(pid_t host_tid, const CaptureContext& context);

}  // namespace baton
