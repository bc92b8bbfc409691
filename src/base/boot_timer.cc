#include "base/boot_timer.h"

#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>

namespace baton {

std::chrono::milliseconds BootNow() {
  timespec now{};
  clock_gettime(CLOCK_BOOTTIME, &now);
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::seconds(now.tv_sec) +
                                                               std::chrono::nanoseconds(now.tv_nsec));
}

Result<BootTimer> BootTimer::Create() {
  const int fd = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
  if (const int error = errno; fd < 0) return ErrnoError(error, "timerfd_create");
  return BootTimer(UniqueFd(fd));
}

Result<> BootTimer::SetTo(std::chrono::milliseconds instant) const {
  // Zero would be never.
  const auto due = std::max(instant, std::chrono::milliseconds(1));
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(due);
  const itimerspec spec{
      .it_interval = {},
      .it_value = {.tv_sec = seconds.count(), .tv_nsec = std::chrono::nanoseconds(due - seconds).count()}};
  const int set = timerfd_settime(fd_.get(), TFD_TIMER_ABSTIME, &spec, nullptr);
  if (const int error = errno; set != 0) return ErrnoError(error, "timerfd_settime");
  return {};
}

void BootTimer::Acknowledge() const {
  uint64_t expirations = 0;
  static_cast<void>(read(fd_.get(), &expirations, sizeof(expirations)));
}

}  // namespace baton
