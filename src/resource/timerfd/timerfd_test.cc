#include "resource/timerfd/timerfd.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <ctime>
#include <limits>

#include "resource/common/kind_test_util.h"
#include "resource/timerfd/timerfd.pb.h"

namespace baton {
namespace {

constexpr int64_t kSecond = 1'000'000'000;

class TimerfdTest : public testing::Test {
 protected:
  pb::TimerfdPayload Captured(int fd) {
    const auto payload = kind_->Capture(FactsOfOwn(fd), capture_);
    pb::TimerfdPayload message;
    EXPECT_TRUE(payload && message.ParseFromString(*payload));
    EXPECT_TRUE(kind_->Describe(*payload));
    return message;
  }
  ErrorCode CodeOf(const pb::TimerfdPayload& message) {
    const auto described = kind_->Describe(message.SerializeAsString());
    return described ? ErrorCode::kInternal : described.error().code();
  }

  std::unique_ptr<ResourceKind> kind_ = MakeTimerfdKind();
  FakeCapture capture_;
};

TEST_F(TimerfdTest, ClaimsTimersOnly) {
  const UniqueFd timer(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC));
  const UniqueFd event(eventfd(0, EFD_CLOEXEC));
  EXPECT_TRUE(kind_->Claims(FactsOfOwn(timer.get())));
  EXPECT_FALSE(kind_->Claims(FactsOfOwn(event.get())));
}

TEST_F(TimerfdTest, CapturesWhatIsLeft) {
  const UniqueFd timer(timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK));
  const itimerspec value{.it_interval = {3, 5}, .it_value = {1000, 0}};
  ASSERT_EQ(timerfd_settime(timer.get(), 0, &value, nullptr), 0);
  const auto message = Captured(timer.get());
  EXPECT_EQ(message.clock(), CLOCK_BOOTTIME);
  EXPECT_GT(message.remaining_ns(), 900 * kSecond);
  EXPECT_LE(message.remaining_ns(), 1000 * kSecond);
  EXPECT_EQ(message.interval_ns(), 3 * kSecond + 5);
  EXPECT_EQ(message.deadline_ns(), 0);
  EXPECT_TRUE(message.nonblocking());
}

TEST_F(TimerfdTest, AnAbsoluteTimerOnTheWallClockHasADeadline) {
  const UniqueFd timer(timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC));
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  const itimerspec value{.it_interval = {}, .it_value = {now.tv_sec + 1000, 0}};
  ASSERT_EQ(timerfd_settime(timer.get(), TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &value, nullptr), 0);
  const auto message = Captured(timer.get());
  EXPECT_NEAR(static_cast<double>(message.deadline_ns()), static_cast<double>((now.tv_sec + 1000) * kSecond), 1e9);
  EXPECT_TRUE(message.cancel_on_set());
}

TEST_F(TimerfdTest, ARestingPeriodicTimerHasAllItsExpirations) {
  const UniqueFd timer(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC));
  const itimerspec value{.it_interval = {0, 1'000'000}, .it_value = {0, 1}};
  ASSERT_EQ(timerfd_settime(timer.get(), 0, &value, nullptr), 0);
  pollfd asked{.fd = timer.get(), .events = POLLIN, .revents = 0};
  ASSERT_EQ(poll(&asked, 1, 10'000), 1);
  ASSERT_EQ(poll(nullptr, 0, 5), 0);
  const auto message = Captured(timer.get());
  EXPECT_GE(message.ticks(), 5U);
  EXPECT_GT(message.remaining_ns(), 0);
}

TEST_F(TimerfdTest, FirstExpiryCountsBack) {
  EXPECT_EQ(FirstExpiry(1000, 7, 100, 3), 707);
  EXPECT_EQ(FirstExpiry(1000, 0, 0, 1), 1);
  EXPECT_EQ(FirstExpiry(1000, -500, 100, 2), 300);
  EXPECT_FALSE(FirstExpiry(1000, 7, 100, 11));
  EXPECT_FALSE(FirstExpiry(1000, 7, kSecond, std::numeric_limits<uint64_t>::max()));
  EXPECT_FALSE(FirstExpiry(1000, std::numeric_limits<int64_t>::max(), 1, 1));
}

TEST_F(TimerfdTest, RefusesHostilePayloads) {
  EXPECT_EQ(CodeOf({}), ErrorCode::kInternal);  // described without an error
  const auto with = [&](auto change) {
    pb::TimerfdPayload message;
    change(message);
    return CodeOf(message);
  };
  EXPECT_EQ(with([](auto& m) { m.set_clock(CLOCK_PROCESS_CPUTIME_ID); }), ErrorCode::kCorrupt);
  EXPECT_EQ(with([](auto& m) { m.set_clock(-1); }), ErrorCode::kCorrupt);
  EXPECT_EQ(with([](auto& m) { m.set_remaining_ns(-1); }), ErrorCode::kCorrupt);
  EXPECT_EQ(with([](auto& m) { m.set_interval_ns(-1); }), ErrorCode::kCorrupt);
  EXPECT_EQ(with([](auto& m) { m.set_deadline_ns(-1); }), ErrorCode::kCorrupt);
  EXPECT_EQ(with([](auto& m) { m.set_cancel_on_set(true); }), ErrorCode::kCorrupt);
  EXPECT_EQ(with([](auto& m) { m.set_clock(CLOCK_MONOTONIC), m.set_deadline_ns(5); }), ErrorCode::kCorrupt);
  const auto garbage = kind_->Describe("\x08");
  ASSERT_FALSE(garbage);
  EXPECT_EQ(garbage.error().code(), ErrorCode::kCorrupt);
}

}  // namespace
}  // namespace baton
