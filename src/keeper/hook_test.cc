#include "keeper/hook.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <thread>

#include "base/file.h"
#include "base/test_dir.h"
#include "keeper/process_limit.h"

namespace baton {
namespace {

class HookTest : public ::testing::Test {
 protected:
  Hook Of(const std::string& command) const {
    return {.name = "before", .command = command, .env = {"PATH=/usr/bin:/bin", "MORE=more"}, .cwd = root_.path()};
  }
  TestDir root_;
};

TEST_F(HookTest, ItsPlaceAndEnvironment) {
  const auto ran = RunHook(Of("echo $BATON_HOOK $MORE $HOME > out; test ! -t 0; cat"));
  ASSERT_TRUE(ran) << ran.error().ToString();
  EXPECT_EQ(ReadFile(root_ / "out").value_or("?"), "before more\n");
}

TEST_F(HookTest, WhatWentWrongIsSaid) {
  const auto failed = RunHook(Of("exit 3"));
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code(), ErrorCode::kUnavailable);
  EXPECT_EQ(failed.error().ToString(), "the before hook failed, exit code 3: `exit 3`");
  EXPECT_EQ(RunHook(Of("kill -9 $$")).error().ToString(), "the before hook failed, ended by signal 9: `kill -9 $$`");
  Hook lost = Of("true");
  lost.cwd = root_ / "nothing";
  EXPECT_FALSE(RunHook(lost));
  lost.inside = 0x3ffffff;
  EXPECT_FALSE(RunHook(lost)) << "a process that is not there";
}

TEST_F(HookTest, ALimitEndsIt) {
  Hook slow = Of("sleep 1000 & echo $! > pid; trap '' TERM; wait");
  slow.limit = std::chrono::milliseconds(300);
  const auto ran = RunHook(slow);
  ASSERT_FALSE(ran);
  EXPECT_NE(ran.error().ToString().find("has not ended within 300 ms"), std::string::npos) << ran.error().ToString();
  const std::string pid = ReadFile(root_ / "pid").value_or("");
  ASSERT_FALSE(pid.empty());
  const auto shell = OpenPidFd(std::stoi(pid));
  if (shell) {
    EXPECT_TRUE(AwaitReadable(shell->get(), std::chrono::seconds(60)).value_or(false)) << "it goes on";
  }
}

TEST_F(HookTest, WhatIsLeftInItsSessionEndsWithIt) {
  ASSERT_TRUE(RunHook(Of("sleep 1000 & echo $! > pid")));
  const auto sleeper = OpenPidFd(std::stoi(ReadFile(root_ / "pid").value_or("1")));
  if (sleeper) {
    EXPECT_TRUE(AwaitReadable(sleeper->get(), std::chrono::seconds(60)).value_or(false)) << "it goes on";
  }
}

TEST_F(HookTest, FromAThreadWithAllSignalsBlocked) {
  Result<> ran;
  std::thread helper([&] {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, nullptr);
    ran = RunHook(Of("(sleep 1000) & kill $!; wait $!; test $? -eq 143"));
  });
  helper.join();
  EXPECT_TRUE(ran) << ran.error().ToString();
}

TEST(ParseSignal, NamesAndNumbers) {
  EXPECT_EQ(ParseSignal("USR1").value_or(0), SIGUSR1);
  EXPECT_EQ(ParseSignal("SIGUSR2").value_or(0), SIGUSR2);
  EXPECT_EQ(ParseSignal("10").value_or(0), 10);
  for (const char* wrong : {"", "SIG", "KILL", "9", "STOP", "0", "-1", "1000", "usr", "1x"})
    EXPECT_FALSE(ParseSignal(wrong));
}

}  // namespace
}  // namespace baton
