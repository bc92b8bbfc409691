// timerfd_create(2): clock, what is left until it expires, interval, expirations not yet read, TFD_TIMER_CANCEL_ON_SET.
// What is left is the same after the pause as before. Only an absolute timer (TFD_TIMER_ABSTIME) on a clock that
// people set, CLOCK_REALTIME, keeps its point in time instead: what it was to be at noon is at noon.
//
// Lost: an unread cancellation (ECANCELED). Sources: fdinfo, timerfd_gettime(2), fs/timerfd.c.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "resource/kind.h"

namespace baton {

std::unique_ptr<ResourceKind> MakeTimerfdKind();

// When a periodic timer must have expired first (on its clock) for it to have `ticks` expirations now and the next one
// in `remaining_ns`; a one-shot timer (no interval) that has expired: long ago. None if that would be before the
// clock's beginning. REQUIRES: ticks > 0.
std::optional<int64_t> FirstExpiry(int64_t now_ns, int64_t remaining_ns, int64_t interval_ns, uint64_t ticks);

}  // namespace baton
