#include "keeper/run_record.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/test_dir.h"
#include "keeper/process_id.h"

namespace baton {
namespace {

class RunRecordTest : public ::testing::Test {
 protected:
  RunRecordTest() {
    auto paths = StatePaths::Find(root_.path());
    if (paths) paths_ = *paths;
  }

  static pb::RunRecord Record(const std::string& name) {
    pb::RunRecord record;
    record.set_version(1);
    record.mutable_spec()->set_name(name);
    record.mutable_spec()->add_argv("sim");
    record.set_state(pb::RunRecord::RUNNING);
    return record;
  }

  TestDir root_;
  StatePaths paths_;
};

TEST_F(RunRecordTest, ComesBackAsSaved) {
  const auto lock = RunLock::Take(paths_, "a");
  ASSERT_TRUE(lock);
  ASSERT_TRUE(SaveRunRecord(paths_, Record("a")));
  const auto loaded = LoadRunRecord(paths_, "a");
  ASSERT_TRUE(loaded) << loaded.error().ToString();
  EXPECT_EQ(loaded->spec().argv(0), "sim");
  EXPECT_EQ(ListRuns(paths_).value(), std::vector<std::string>{"a"});
}

TEST_F(RunRecordTest, EveryFlippedBitIsNoticed) {
  const std::string good = EncodeRunRecord(Record("a"));
  for (size_t bit = 0; bit < good.size() * 8; ++bit) {
    std::string bad = good;
    bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << (bit % 8)));
    const auto decoded = DecodeRunRecord(bad);
    ASSERT_FALSE(decoded) << "bit " << bit;
    EXPECT_EQ(decoded.error().code(), ErrorCode::kCorrupt);
  }
  for (size_t length = 0; length < good.size(); ++length) EXPECT_FALSE(DecodeRunRecord(good.substr(0, length)));
}

TEST_F(RunRecordTest, UnknownRunsAreNamed) {
  const auto missing = LoadRunRecord(paths_, "nobody");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code(), ErrorCode::kNotFound);
  EXPECT_NE(missing.error().ToString().find("'nobody'"), std::string::npos);
  EXPECT_TRUE(ListRuns(paths_).value().empty());
}

TEST_F(RunRecordTest, OneKeeperOwnsARun) {
  {
    const auto first = RunLock::Take(paths_, "a");
    ASSERT_TRUE(first);
    ASSERT_TRUE(SaveRunRecord(paths_, Record("a")));
    EXPECT_TRUE(RunLock::IsHeld(paths_, "a"));
    EXPECT_EQ(RunStateName(paths_, Record("a")), "running");
    const auto second = RunLock::Take(paths_, "a");
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code(), ErrorCode::kConflict);
  }
  EXPECT_FALSE(RunLock::IsHeld(paths_, "a"));
  EXPECT_EQ(RunStateName(paths_, Record("a")), "interrupted");
}

TEST(RunName, OnlyPlainOnes) {
  for (const char* good : {"a", "sim-1", "A_b.c"}) EXPECT_TRUE(CheckRunName(good)) << good;
  for (const char* bad : {"", ".", "..", "a/b", ".x", "a b", "a\n"}) EXPECT_FALSE(CheckRunName(bad)) << bad;
  EXPECT_FALSE(CheckRunName(std::string(65, 'x')));
}

TEST(StatePathsTest, FlagBeatsEnvironment) {
  ASSERT_EQ(setenv("BATON_STATE_DIR", "/from/env", 1), 0);
  EXPECT_EQ(StatePaths::Find("/from/flag/../x").value().state_dir(), "/from/x");
  EXPECT_EQ(StatePaths::Find("").value().state_dir(), "/from/env");
  EXPECT_EQ(StatePaths::Find("").value().socket("n"), "/from/env/run/n.sock");
  ASSERT_EQ(unsetenv("BATON_STATE_DIR"), 0);
}

TEST(ProcessIdTest, ZombiesAndTheDeadDoNotLive) {
  const ProcessId self = IdentifyProcess(getpid()).value();
  EXPECT_TRUE(ProcessLives(self));
  EXPECT_FALSE(ProcessLives({.pid = self.pid, .start_time = self.start_time + 1}));
  const pid_t child = fork();
  if (child == 0) _exit(0);
  const ProcessId id = IdentifyProcess(child).value_or(ProcessId{.pid = child});
  EXPECT_TRUE(AwaitGone(id, std::chrono::seconds(20)));
  EXPECT_FALSE(ProcessLives(id));
  waitpid(child, nullptr, 0);
  EXPECT_FALSE(ProcessLives(id));
  EXPECT_FALSE(AwaitGone(self, std::chrono::milliseconds(1)));
}

}  // namespace
}  // namespace baton
