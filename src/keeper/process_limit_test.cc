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

TEST(WaitAtMost, KilledWithItsGroup) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const pid_t child = fork();
  if (child == 0) {
    close(ends[0]);
    setsid();
    fork();
    while (true) pause();
  }
  close(ends[1]);
  const auto ended = WaitAtMost(child, milliseconds(50));
  ASSERT_TRUE(ended);
  EXPECT_FALSE(*ended);
  char nothing = 0;
  EXPECT_EQ(read(ends[0], &nothing, 1), 0) << "the last one with the other end is gone";
  close(ends[0]);
  EXPECT_EQ(waitpid(child, nullptr, WNOHANG), -1);
}

TEST(WaitAtMost, WhatIsLeftOfAGroupAtItsEnd) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const pid_t child = fork();
  if (child == 0) {
    close(ends[0]);
    setsid();
    if (fork() == 0) {
      while (true) pause();
    }
    _exit(0);
  }
  close(ends[1]);
  const auto ended = WaitAtMost(child, std::chrono::seconds(60));
  ASSERT_TRUE(ended && *ended);
  char nothing = 0;
  EXPECT_EQ(read(ends[0], &nothing, 1), 0);
  close(ends[0]);
}

}  // namespace
}  // namespace baton
