#include "thread/tracer_thread.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>

namespace baton {
namespace {

TEST(TracerThread, WorksOnAThreadOfItsOwnWithAllSignalsBlocked) {
  const pid_t mine = gettid();
  pid_t its = 0;
  bool blocked = false;
  TracerThread thread;
  const auto outcome = thread.Run([&]() -> Result<> {
    its = gettid();
    sigset_t mask;
    pthread_sigmask(SIG_SETMASK, nullptr, &mask);
    blocked = sigismember(&mask, SIGTERM) == 1 && sigismember(&mask, SIGINT) == 1;
    return {};
  });
  EXPECT_TRUE(outcome);
  EXPECT_NE(its, mine);
  EXPECT_TRUE(blocked);
}

TEST(TracerThread, DoesOneWorkAfterTheOtherOnTheSameThread) {
  TracerThread thread;
  pid_t first = 0, second = 0;
  EXPECT_TRUE(thread.Run([&]() -> Result<> {
    first = gettid();
    return {};
  }));
  const auto failed = thread.Run([&]() -> Result<> {
    second = gettid();
    return MakeError(ErrorCode::kUnavailable, "not now");
  });
  EXPECT_FALSE(failed);
  EXPECT_NE(first, 0);
  EXPECT_EQ(first, second);
}

TEST(TracerThread, LivesAsLongAsTheObject) {
  pid_t its = 0;
  {
    TracerThread thread;
    ASSERT_TRUE(thread.Run([&its]() -> Result<> {
      its = gettid();
      return {};
    }));
    EXPECT_EQ(tgkill(getpid(), its, 0), 0) << "it has ended with its work, and what it traced was let go";
  }
  EXPECT_NE(tgkill(getpid(), its, 0), 0);
}

TEST(TracerThread, HandsTheErrorOn) {
  TracerThread thread;
  const auto outcome = thread.Run([]() -> Result<> { return MakeError(ErrorCode::kNotSupported, "no"); });
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().code(), ErrorCode::kNotSupported);
}

TEST(TracerThread, MayNeverBeUsed) { const TracerThread unused; }

}  // namespace
}  // namespace baton
