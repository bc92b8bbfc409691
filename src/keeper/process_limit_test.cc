#include "keeper/process_limit.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

namespace baton {
namespace {

using std::chrono::milliseconds;

TEST(WaitAtMost, ItsStatus) {
  const pid_t child = fork();
  if (child == 0) _exit(7);
  const auto ended = WaitAtMost(child, std::chrono::seconds(60));
  ASSERT_TRUE(ended && *ended);
  EXPECT_EQ(WEXITSTATUS(**ended), 7);
}

TEST(WaitAtMost, KilledAtTheLimit) {
  const pid_t child = fork();
  if (child == 0) {
    while (true) pause();
  }
  const auto ended = WaitAtMost(child, milliseconds(50));
  ASSERT_TRUE(ended);
  EXPECT_FALSE(*ended);
  EXPECT_EQ(waitpid(child, nullptr, WNOHANG), -1) << "it is reaped";
}

}  // namespace
}  // namespace baton
