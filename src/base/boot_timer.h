// The clock by which leases are counted, and a timer on it.
#pragma once

#include <chrono>

#include "base/result.h"
#include "base/unique_fd.h"

namespace baton {

// Time since the boot of this machine, in whole milliseconds; goes on while the machine sleeps (CLOCK_BOOTTIME,
// clock_gettime(2)). Thread-safe.
std::chrono::milliseconds BootNow();

// Thread-safety: one thread at a time.
class BootTimer {
 public:
  static Result<BootTimer> Create();

  // Readable from `instant` on (by BootNow's clock; at once where it has passed), instead of what it was set to before.
  Result<> SetTo(std::chrono::milliseconds instant) const;
  // Not readable any more until it is due again.
  void Acknowledge() const;
  int fd() const { return fd_.get(); }

 private:
  explicit BootTimer(UniqueFd fd) : fd_(std::move(fd)) {}

  UniqueFd fd_;
};

}  // namespace baton
