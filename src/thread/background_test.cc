#include "thread/background.h"

#include <gtest/gtest.h>
#include <poll.h>

#include <atomic>

namespace baton {
namespace {

bool IsReadable(int fd, int timeout_ms) {
  pollfd asked{.fd = fd, .events = POLLIN, .revents = 0};
  return poll(&asked, 1, timeout_ms) == 1;
}

TEST(Background, TellsWhenTheWorkIsDone) {
  auto background = Background::Create();
  ASSERT_TRUE(background);
  std::atomic<bool> may_end = false;
  int written = 0;  // by the work, read after it
  background->Start([&]() -> Result<> {
    may_end.wait(false);
    written = 1;
    return {};
  });
  EXPECT_TRUE(background->busy());
  EXPECT_FALSE(IsReadable(background->event_fd(), 0));
  may_end = true;
  may_end.notify_one();
  EXPECT_TRUE(IsReadable(background->event_fd(), 20'000));
  EXPECT_TRUE(background->Take());
  EXPECT_EQ(written, 1);
  EXPECT_FALSE(background->busy());
  EXPECT_FALSE(IsReadable(background->event_fd(), 0)) << "the next work would seem done";
}

TEST(Background, TakeWaitsAndHandsTheErrorOn) {
  auto background = Background::Create();
  ASSERT_TRUE(background);
  for (int round = 0; round < 100; ++round) {
    background->Start([round]() -> Result<> { return MakeError(ErrorCode::kConflict, "round {}", round); });
    const auto outcome = background->Take();
    ASSERT_FALSE(outcome);
    EXPECT_EQ(outcome.error().code(), ErrorCode::kConflict);
    EXPECT_NE(outcome.error().ToString().find(fmt::format("round {}", round)), std::string::npos);
  }
}

}  // namespace
}  // namespace baton
