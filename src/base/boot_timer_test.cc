#include "base/boot_timer.h"

#include <gtest/gtest.h>
#include <poll.h>

namespace baton {
namespace {

using std::chrono::milliseconds;

bool Readable(const BootTimer& timer, int within_ms) {
  pollfd waiting{.fd = timer.fd(), .events = POLLIN, .revents = 0};
  return poll(&waiting, 1, within_ms) == 1;
}

TEST(BootTimer, IsReadableFromTheInstantOn) {
  const auto timer = BootTimer::Create();
  ASSERT_TRUE(timer);
  EXPECT_FALSE(Readable(*timer, 0)) << "not set";
  const milliseconds due = BootNow() + milliseconds(30);
  ASSERT_TRUE(timer->SetTo(due));
  ASSERT_TRUE(Readable(*timer, 10'000));
  EXPECT_GE(BootNow(), due);
  timer->Acknowledge();
  EXPECT_FALSE(Readable(*timer, 0));
}

TEST(BootTimer, WhatHasPassedIsAtOnce) {
  const auto timer = BootTimer::Create();
  ASSERT_TRUE(timer);
  for (const milliseconds past : {milliseconds(-5), milliseconds(0), BootNow() - milliseconds(1)}) {
    ASSERT_TRUE(timer->SetTo(past));
    EXPECT_TRUE(Readable(*timer, 10'000)) << past.count();
    timer->Acknowledge();
  }
}

TEST(BootTimer, TheLastSettingCounts) {
  const auto timer = BootTimer::Create();
  ASSERT_TRUE(timer);
  ASSERT_TRUE(timer->SetTo(BootNow()));
  ASSERT_TRUE(timer->SetTo(BootNow() + std::chrono::hours(1)));
  EXPECT_FALSE(Readable(*timer, 0));
}

}  // namespace
}  // namespace baton
