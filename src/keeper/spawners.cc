#include "keeper/spawners.h"

#include <time.h>

#include <algorithm>

namespace baton {
namespace {

int64_t Now(clockid_t clock) {
  constexpr int64_t kSecond = 1'000'000'000;
  timespec now{};
  clock_gettime(clock, &now);
  return now.tv_sec * kSecond + now.tv_nsec;
}

}  // namespace

void CarryClocks(const SavedClocks& saved, bool count_pause, CapsuleOptions* options) {
  // A wall clock that was set back meanwhile must not turn the job's clocks back.
  const int64_t pause = count_pause ? std::max<int64_t>(Now(CLOCK_REALTIME) - saved.realtime_ns, 0) : 0;
  options->monotonic_offset_ns = saved.monotonic_ns + pause - Now(CLOCK_MONOTONIC);
  options->boottime_offset_ns = saved.boottime_ns + pause - Now(CLOCK_BOOTTIME);
}

}  // namespace baton
