#include "keeper/process_scope.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>

namespace baton {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::Not;

// A session whose leader has a child, and an orphan that we adopt.
class ProcessScopeTest : public ::testing::Test {
 protected:
  ProcessScopeTest() {
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    std::array<int, 2> ends{};
    EXPECT_EQ(pipe(ends.data()), 0);
    leader_ = fork();
    if (leader_ == 0) BeLeader(ends[1]);
    close(ends[1]);
    EXPECT_EQ(read(ends[0], &child_, sizeof child_), static_cast<ssize_t>(sizeof child_));
    EXPECT_EQ(read(ends[0], &orphan_, sizeof orphan_), static_cast<ssize_t>(sizeof orphan_));
    close(ends[0]);
  }
  ~ProcessScopeTest() override {
    for (const pid_t pid : {child_, orphan_, leader_}) kill(pid, SIGKILL);
    while (waitpid(-1, nullptr, 0) > 0) {
    }
    prctl(PR_SET_CHILD_SUBREAPER, 0);
  }
  ProcessScopeTest(const ProcessScopeTest&) = delete;
  ProcessScopeTest& operator=(const ProcessScopeTest&) = delete;

  static pid_t Waiting() {
    const pid_t pid = fork();
    if (pid > 0) return pid;
    while (true) pause();
  }
  [[noreturn]] static void BeLeader(int told) {
    setsid();
    const pid_t child = Waiting();
    if (write(told, &child, sizeof child) < 0) _exit(1);
    std::array<int, 2> ends{};
    if (pipe(ends.data()) != 0) _exit(1);
    const pid_t between = fork();
    if (between == 0) {
      const pid_t orphan = Waiting();
      _exit(write(ends[1], &orphan, sizeof orphan) < 0 ? 1 : 0);
    }
    waitpid(between, nullptr, 0);
    pid_t orphan = 0;
    if (read(ends[0], &orphan, sizeof orphan) < 0 || write(told, &orphan, sizeof orphan) < 0) _exit(1);
    while (true) pause();
  }

  pid_t leader_ = 0;
  pid_t child_ = 0;
  pid_t orphan_ = 0;
};

TEST_F(ProcessScopeTest, TreesAndSessions) {
  const auto tree = MembersOf(leader_, ProcessScope::kTree);
  const auto session = MembersOf(child_, ProcessScope::kSession);
  ASSERT_TRUE(tree && session);
  EXPECT_EQ(*tree, (std::set<pid_t>{leader_, child_}));
  EXPECT_EQ(*session, (std::set<pid_t>{leader_, child_, orphan_}));
  EXPECT_THAT(RootsOf(*session, child_), ElementsAre(leader_, orphan_));
  EXPECT_THAT(RootsOf(*session, orphan_), ElementsAre(orphan_, leader_));
  EXPECT_THAT(*MembersOf(getpid(), ProcessScope::kTree), Contains(orphan_));
  EXPECT_THAT(*MembersOf(getpid(), ProcessScope::kTree), Not(Contains(getppid())));
}

TEST_F(ProcessScopeTest, WhatTheyDisagreeOn) {
  const auto report = CompareScopes(leader_, ProcessScope::kTree);
  ASSERT_TRUE(report) << report.error().ToString();
  const auto is_orphan_in_session = [this](const ScopeDifference& difference) {
    return difference.pid == orphan_ && difference.in == ProcessScope::kSession &&
           difference.not_in == ProcessScope::kTree && !difference.name.empty();
  };
  EXPECT_THAT(report->differences, Contains(::testing::Truly(is_orphan_in_session)));
  EXPECT_THAT(ScopeText(leader_, ProcessScope::kTree, *report), ::testing::HasSubstr("tree 2 session 3 pgrp 3"));
}

TEST(ProcessScope, Names) {
  for (const ProcessScope scope : kAllScopes) EXPECT_EQ(ParseScope(std::string(ScopeName(scope))).value(), scope);
  EXPECT_FALSE(ParseScope("family"));
  EXPECT_EQ(MembersOf(1 << 22, ProcessScope::kTree).error().code(), ErrorCode::kNotFound);
}

}  // namespace
}  // namespace baton
