#include "resource/timerfd/timerfd.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <limits>

#include "proc/process_files.h"
#include "resource/common/payload.h"
#include "resource/timerfd/timerfd.pb.h"

namespace baton {
namespace {

constexpr std::string_view kName = "timerfd";
constexpr int64_t kNsPerSecond = 1'000'000'000;
constexpr int64_t kMaxNs = std::numeric_limits<int64_t>::max();
constexpr unsigned long kSetTicks = 0x40085400;  // TFD_IOC_SET_TICKS; needs CONFIG_CHECKPOINT_RESTORE

// Saturates, as the kernel does.
int64_t ToNs(const timespec& time) {
  if (time.tv_sec >= kMaxNs / kNsPerSecond) return kMaxNs;
  return time.tv_sec * kNsPerSecond + time.tv_nsec;
}

timespec FromNs(int64_t ns) { return {ns / kNsPerSecond, ns % kNsPerSecond}; }

bool PeopleSet(int clock) { return clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_ALARM; }

bool IsTimerClock(int clock) {
  return PeopleSet(clock) || clock == CLOCK_MONOTONIC || clock == CLOCK_BOOTTIME || clock == CLOCK_BOOTTIME_ALARM;
}

Result<pb::TimerfdPayload> Parse(std::string_view payload) {
  BATON_TRY(auto message, ParsePayload<pb::TimerfdPayload>(payload, kName));
  const bool sane = IsTimerClock(message.clock()) && message.remaining_ns() >= 0 && message.interval_ns() >= 0 &&
                    message.deadline_ns() >= 0 && (message.deadline_ns() == 0 || PeopleSet(message.clock())) &&
                    (message.deadline_ns() != 0 || !message.cancel_on_set());
  if (sane) return message;
  return MakeError(ErrorCode::kCorrupt, "timerfd: clock {}, {} ns left, interval {} ns, deadline {} ns{}",
                   message.clock(), message.remaining_ns(), message.interval_ns(), message.deadline_ns(),
                   message.cancel_on_set() ? ", cancelled when the clock is set" : "");
}

// Puts the timer into its state, in a process that has the descriptor.
class Arming {
 public:
  Arming(const pb::TimerfdPayload& message, int fd, RemoteSyscalls& calls)
      : message_(message), fd_(fd), calls_(calls) {}

  Result<> Do() {
    if (message_.ticks() == 0) return Set(Target(), Flags());
    BATON_TRY(const bool given, GiveTicks());
    return given ? Result<>() : LetItTick();
  }

 private:
  int Flags() const {
    if (message_.deadline_ns() == 0) return 0;
    return TFD_TIMER_ABSTIME | (message_.cancel_on_set() ? TFD_TIMER_CANCEL_ON_SET : 0);
  }
  int64_t Target() const { return message_.deadline_ns() != 0 ? message_.deadline_ns() : message_.remaining_ns(); }

  Result<> Set(int64_t value_ns, int flags) {
    const itimerspec value{.it_interval = FromNs(message_.interval_ns()), .it_value = FromNs(value_ns)};
    BATON_TRY(const auto at, calls_.PutValue(value));
    BATON_CHECKED(calls_.Do("timerfd_settime", SYS_timerfd_settime, fd_, flags, at, 0));
    return {};
  }

  // False if the kernel has no call for it. Setting the timer clears the ticks: it must be first.
  Result<bool> GiveTicks() {
    BATON_CHECKED(Set(Target(), Flags()));
    BATON_TRY(const auto at, calls_.PutValue(message_.ticks()));
    BATON_TRY(const int64_t result, calls_.Call(SYS_ioctl, fd_, kSetTicks, at));
    if (result == -ENOTTY) return false;
    if (result < 0) return ErrnoError(static_cast<int>(-result), "expirations of a timer");
    return true;
  }

  Result<> LetItTick() {
    BATON_TRY(const auto at, calls_.PutValue(timespec{}));
    BATON_CHECKED(calls_.Do("clock_gettime", SYS_clock_gettime, message_.clock(), at));
    BATON_TRY(const timespec now, calls_.Get(at));
    const int64_t now_ns = ToNs(now);
    const int64_t remaining = message_.deadline_ns() != 0 ? message_.deadline_ns() - now_ns : message_.remaining_ns();
    const auto first = FirstExpiry(now_ns, remaining, message_.interval_ns(), message_.ticks());
    if (!first) {
      return MakeError(ErrorCode::kNotSupported,
                       "a timer with {} unread expirations needs a kernel with CONFIG_CHECKPOINT_RESTORE here",
                       message_.ticks());
    }
    return Set(*first, Flags() | TFD_TIMER_ABSTIME);
  }

  const pb::TimerfdPayload& message_;
  int fd_;
  RemoteSyscalls& calls_;
};

class TimerfdKind : public ResourceKind {
 public:
  std::string_view Name() const override { return kName; }

  bool Claims(const FdFacts& file) const override { return file.IsAnonInode("anon_inode:[timerfd]"); }

  // fdinfo does not speak the truth of a periodic timer that has expired: it rests until it is asked. So ask it first.
  Result<std::string> Capture(const FdFacts& file, CaptureContext&) const override {
    pb::TimerfdPayload message;
    itimerspec value{};
    const int got = timerfd_gettime(file.copy, &value);
    if (const int error = errno; got != 0) return ErrnoError(error, "timerfd_gettime");
    timespec now{};
    clock_gettime(CLOCK_REALTIME, &now);
    BATON_TRY(const FdInfo info, ReadFdInfo(getpid(), file.copy));
    BATON_TRY(const int clock, FdInfoNumber<int>(info, "clockid"));
    BATON_TRY(const int flags, FdInfoNumber<int>(info, "settime flags", 8));
    BATON_TRY(const uint64_t ticks, FdInfoNumber(info, "ticks"));
    message.set_clock(clock);
    message.set_ticks(ticks);
    message.set_remaining_ns(ToNs(value.it_value));
    message.set_interval_ns(ToNs(value.it_interval));
    message.set_nonblocking((info.flags & O_NONBLOCK) != 0);
    const bool armed = message.remaining_ns() != 0;
    if (armed && PeopleSet(clock) && (flags & TFD_TIMER_ABSTIME) != 0) {
      const int64_t now_ns = ToNs(now);
      message.set_deadline_ns(now_ns + std::min(message.remaining_ns(), kMaxNs - now_ns));
      message.set_cancel_on_set((flags & TFD_TIMER_CANCEL_ON_SET) != 0);
    }
    return message.SerializeAsString();
  }

  Result<int> Restore(std::string_view payload, uint32_t, RestoreContext& context) const override {
    BATON_TRY(const auto message, Parse(payload));
    const int flags = TFD_CLOEXEC | (message.nonblocking() ? TFD_NONBLOCK : 0);
    BATON_TRY(const int64_t fd, context.holder().Do("timerfd_create", SYS_timerfd_create, message.clock(), flags));
    return static_cast<int>(fd);
  }

  // As late as possible: what is left must not run out while memory is read in.
  Result<> Arm(std::string_view payload, std::span<const FdUser> users, ArmContext& context) const override {
    BATON_TRY(const auto message, Parse(payload));
    const bool blank = message.remaining_ns() == 0 && message.interval_ns() == 0 && message.ticks() == 0;
    if (users.empty() || blank) return {};
    BATON_TRY(RemoteSyscalls* const calls, context.Process(users.front().ns_pid));
    return Arming(message, users.front().fd, *calls).Do();
  }

  Result<std::string> Describe(std::string_view payload) const override {
    BATON_TRY(const auto message, Parse(payload));
    std::string text = fmt::format("timerfd on clock {}", message.clock());
    if (message.remaining_ns() != 0) text += fmt::format(", {} ns left", message.remaining_ns());
    if (message.interval_ns() != 0) text += fmt::format(", every {} ns", message.interval_ns());
    if (message.ticks() != 0) text += fmt::format(", {} expirations unread", message.ticks());
    return text;
  }
};

}  // namespace

// The kernel counts what is missed when the timer is looked at: the first expiry `ticks` intervals before the next.
std::optional<int64_t> FirstExpiry(int64_t now_ns, int64_t remaining_ns, int64_t interval_ns, uint64_t ticks) {
  if (interval_ns == 0) return 1;
  int64_t back = 0;
  int64_t first = 0;
  if (ticks > static_cast<uint64_t>(kMaxNs) ||
      __builtin_mul_overflow(static_cast<int64_t>(ticks), interval_ns, &back) ||
      __builtin_add_overflow(now_ns, remaining_ns, &first) || first - back <= 0) {
    return std::nullopt;
  }
  return first - back;
}

std::unique_ptr<ResourceKind> MakeTimerfdKind() { return std::make_unique<TimerfdKind>(); }

}  // namespace baton
