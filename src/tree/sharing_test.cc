// What tasks share: by example, and by random histories of clone(2), unshare(2), execve(2), exit(2) on the model.
#include "tree/sharing.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "tree/plan_check.h"

namespace baton {
namespace {

using ::testing::HasSubstr;
using Kind = TreeStep::Kind;

constexpr TreeOutside kCapsule{.reaper = 1, .session = 1, .group = 1};

TreeNode Node(pid_t pid, pid_t ppid, const Tables& tables = {}) {
  return {.pid = pid, .ppid = ppid, .pgid = 1, .sid = 1, .tables = tables};
}

TreePlan Planned(const std::vector<TreeNode>& nodes) {
  auto plan = PlanTree(nodes, kCapsule);
  EXPECT_TRUE(plan) << plan.error().ToString() << "\n" << Describe(nodes);
  if (!plan) return {};
  EXPECT_EQ(WhatGoesWrong(*plan, nodes, kCapsule), "") << Describe(nodes) << Describe(*plan);
  return std::move(*plan);
}

std::string Refusal(const std::vector<TreeNode>& nodes) {
  const auto plan = PlanTree(nodes, kCapsule);
  EXPECT_FALSE(plan) << Describe(nodes) << Describe(*plan);
  if (plan) return "";
  EXPECT_EQ(plan.error().code(), ErrorCode::kNotSupported);
  return plan.error().ToString();
}

TEST(Sharing, NothingIsAddedWhereNothingIsShared) {
  EXPECT_EQ(Planned({Node(2, 1), Node(3, 2)}).steps, (std::vector<TreeStep>{{Kind::kFork, 2, 1}, {Kind::kFork, 3, 2}}));
}

TEST(Sharing, ChildrenHaveItFromTheirParent) {
  const TreePlan plan = Planned({Node(2, 1, {0, 0, 7, 8}), Node(3, 2, {0, 0, 7, 0}), Node(4, 2, {0, 0, 0, 8})});
  EXPECT_TRUE(plan.temporaries.empty());
}

TEST(Sharing, AllOfIt) { Planned({Node(2, 1, {5, 6, 7, 8}), Node(3, 2, {5, 6, 7, 8}), Node(4, 3, {5, 6, 7, 8})}); }

TEST(Sharing, GrandchildAndGrandparent) { Planned({Node(2, 1, {0, 0, 7, 0}), Node(3, 2), Node(4, 3, {0, 0, 7, 0})}); }

TEST(Sharing, GrandchildrenHaveOneEach) {
  Planned({Node(2, 1, {0, 0, 7, 8}), Node(3, 2), Node(4, 3, {0, 0, 7, 0}), Node(5, 3, {0, 0, 0, 8})});
}

TEST(Sharing, BrothersBelowOneThatHasItNot) {
  Planned({Node(2, 1), Node(3, 2, {0, 0, 7, 0}), Node(4, 2, {0, 0, 7, 0}), Node(5, 2, {0, 0, 0, 9}),
           Node(6, 2, {0, 0, 0, 9})});
}

TEST(Sharing, BrothersWithTheirMemory) {
  Planned({Node(2, 1), Node(3, 2, {5, 0, 0, 0}), Node(4, 2, {5, 0, 0, 0}), Node(5, 4, {5, 0, 0, 0})});
}

TEST(Sharing, OrphansOfTheReaper) {
  Planned({Node(2, 1, {5, 6, 7, 8}), Node(3, 1, {5, 6, 7, 8}), Node(4, 1, {0, 0, 17, 0}), Node(5, 4, {0, 0, 17, 0}),
           Node(6, 1, {0, 0, 17, 0})});
}

TEST(Sharing, ProcessOnTheWayHasAnotherWithItsOwnChildren) {
  Planned({Node(2, 1, {0, 0, 7, 0}), Node(3, 2, {0, 0, 9, 0}), Node(4, 3, {0, 0, 7, 0}), Node(5, 3, {0, 0, 9, 0})});
}

TEST(Sharing, AcrossASession) {
  // 3 leads a session that 4 and 5 are in; 6 was born before.
  Planned({{.pid = 2, .ppid = 1, .pgid = 1, .sid = 1, .tables = {0, 0, 7, 0}},
           {.pid = 3, .ppid = 2, .pgid = 3, .sid = 3},
           {.pid = 4, .ppid = 3, .pgid = 3, .sid = 3, .tables = {0, 0, 7, 0}},
           {.pid = 5, .ppid = 1, .pgid = 3, .sid = 3, .tables = {0, 0, 7, 0}},
           {.pid = 6, .ppid = 3, .pgid = 1, .sid = 1, .tables = {0, 0, 7, 0}}});
}

TEST(Sharing, ExitSignals) {
  TreeNode silent = Node(3, 2, {5, 0, 0, 0});
  silent.exit_signal = 0;
  TreeNode brother = Node(4, 2, {0, 0, 9, 0});
  brother.exit_signal = SIGUSR1;
  Planned({Node(2, 1, {5, 0, 0, 0}), silent, brother, Node(5, 2, {0, 0, 9, 0})});
}

TEST(Sharing, ThreadsWithTablesOfTheirOwn) {
  TreeNode process = Node(2, 1, {0, 0, 1, 0});
  process.threads = {{3, {}}, {4, {0, 0, 0, 2}}, {5, {0, 0, 1, 2}}, {6, {0, 0, 1, 0}}};
  Planned({process});
}

TEST(Sharing, ThreadsHaveTheirsWithChildren) {
  TreeNode process = Node(2, 1, {0, 0, 1, 0});
  process.threads = {{3, {0, 0, 2, 0}}, {4, {0, 0, 3, 4}}};
  Planned({process, Node(5, 2, {0, 0, 2, 0}), Node(6, 2, {0, 0, 3, 4}), Node(7, 6, {0, 0, 3, 0}),
           Node(8, 2, {0, 0, 1, 0}), Node(9, 2, {0, 0, 1, 0})});
}

TEST(Sharing, ThreadKeepsWhatTheFirstOneHasGivenUp) {
  TreeNode child = Node(3, 2);
  child.threads = {{4, {0, 0, 7, 0}}};
  Planned({Node(2, 1, {0, 0, 7, 0}), child, Node(5, 3, {0, 0, 7, 0})});
}

TEST(Sharing, WhatCannotHaveComeAboutIsRefused) {
  EXPECT_THAT(Refusal({Node(2, 1, {5, 0, 0, 0}), Node(3, 2), Node(4, 3, {5, 0, 0, 0})}),
              HasSubstr("below process 3 share their memory"));
  EXPECT_THAT(Refusal({Node(2, 1, {0, 0, 7, 0}), Node(3, 1, {0, 0, 8, 0}), Node(4, 1), Node(5, 4, {0, 0, 7, 0}),
                       Node(6, 4, {0, 0, 8, 0})}),
              HasSubstr("process 4 share two different descriptors"));
  TreeNode process = Node(2, 1, {0, 0, 1, 1});
  process.threads = {{3, {0, 0, 1, 2}}, {4, {0, 0, 2, 1}}, {5, {0, 0, 2, 2}}};
  EXPECT_THAT(Refusal({process}), HasSubstr("too entangled"));
}

// ---- random histories ----

class History {
 public:
  explicit History(uint32_t seed) : random_(seed), kernel_(1, 1, 1) {}

  std::vector<TreeNode> Run(unsigned operations) {
    kernel_.Fork(1, 2);
    for (unsigned i = 0; i < operations; ++i) Operate();
    return Shared(kernel_.Nodes());
  }

 private:
  unsigned Below(size_t bound) { return static_cast<unsigned>(random_() % bound); }
  std::vector<pid_t> Tasks() const {
    std::vector<pid_t> tasks;
    for (const TreeNode& node : kernel_.Nodes()) {
      if (node.zombie) continue;
      tasks.push_back(node.pid);
      for (const TreeThread& thread : node.threads) tasks.push_back(thread.tid);
    }
    return tasks;
  }
  unsigned Shares() {
    unsigned shares = 0;
    if (Below(3) == 0) shares |= Bit(kFiles);
    if (Below(3) == 0) shares |= Bit(kDirectories);
    if (Below(6) == 0) shares |= Bit(kMemory);
    if ((shares & Bit(kMemory)) != 0 && Below(2) == 0) shares |= Bit(kActions);
    return shares;
  }
  // Refused operations are no operations: the model says so.
  void Operate() {
    const std::vector<pid_t> tasks = Tasks();
    if (tasks.empty()) return;
    const pid_t task = tasks[Below(tasks.size())];
    const unsigned pick = Below(20);
    if (pick < 9 && tasks.size() < 14) {
      kernel_.Clone(task, ++last_number_, {Shares(), Below(8) == 0, Below(10) == 0 ? SIGUSR1 : SIGCHLD});
    } else if (pick < 12 && tasks.size() < 14) {
      kernel_.CloneThread(task, ++last_number_, Shares());
    } else if (pick < 15) {
      kernel_.Unshare(task, Below(2) == 0 ? Bit(kFiles) : Bit(kDirectories));
    } else if (pick < 17) {
      kernel_.EndThread(task);
    } else if (pick < 18) {
      if (kernel_.ProcessOf(task) == task) kernel_.SetSid(task);
    } else if (kernel_.ProcessOf(task) == task && tasks.size() > 3) {
      pid_t parent = 0;
      for (const TreeNode& node : kernel_.Nodes()) {
        if (node.pid == task) parent = node.ppid;
      }
      if (kernel_.Exit(task)) kernel_.Reap(parent, task);
    }
  }
  // As a capture tells it: numbers only for what several have, and threads only where they differ from the first one.
  static std::vector<TreeNode> Shared(std::vector<TreeNode> nodes) {
    for (size_t table = 0; table < kTables; ++table) {
      std::map<int, int> users;
      for (const TreeNode& node : nodes) {
        if (!node.zombie) ++users[node.tables[table]];
        if (table < kFiles) continue;
        for (const TreeThread& thread : node.threads) ++users[thread.tables[table]];
      }
      for (TreeNode& node : nodes) {
        if (users[node.tables[table]] < 2) node.tables[table] = 0;
        for (TreeThread& thread : node.threads) {
          if (users[thread.tables[table]] < 2 || table < kFiles) thread.tables[table] = 0;
        }
      }
    }
    return nodes;
  }

  std::mt19937 random_;
  KernelModel kernel_;
  pid_t last_number_ = 2;
};

TEST(SharingRandom, WhatIsPlannedIsRightAndMostIs) {
  int refused = 0;
  constexpr int kRuns = 4000;
  for (uint32_t seed = 0; seed < kRuns; ++seed) {
    const std::vector<TreeNode> nodes = History(seed).Run(10 + seed % 40);
    const auto plan = PlanTree(nodes, kCapsule);
    if (!plan) {
      ASSERT_EQ(plan.error().code(), ErrorCode::kNotSupported) << plan.error().ToString() << Describe(nodes);
      ++refused;
      continue;
    }
    ASSERT_EQ(WhatGoesWrong(*plan, nodes, kCapsule), "") << "seed " << seed << "\n"
                                                         << Describe(nodes) << Describe(*plan);
  }
  RecordProperty("refused", refused);
  EXPECT_LT(refused, kRuns / 10);
}

}  // namespace
}  // namespace baton
