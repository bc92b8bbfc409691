// Forests that came about by random histories: the planner must solve each of them, since the model shows that it can
// come about.
#include <gtest/gtest.h>

#include <random>

#include "tree/plan_check.h"

namespace baton {
namespace {

// Chances of each operation, in any unit.
struct Mix {
  unsigned fork = 40, set_sid = 12, set_pgid = 15, exit = 20, reap = 6, subreaper = 4;
  unsigned max_processes = 12;
  unsigned operations = 60;
  bool shuffled_numbers = false;  // else a later process has a higher one
};

class History {
 public:
  History(uint32_t seed, const Mix& mix, const TreeOutside& outside)
      : random_(seed), mix_(mix), outside_(outside), kernel_(outside.reaper, *outside.session, *outside.group) {}

  std::vector<TreeNode> Run() {
    for (unsigned i = 0; i < mix_.operations; ++i) Operate();
    std::vector<TreeNode> nodes = kernel_.Nodes();
    for (size_t i = nodes.size(); i > 1; --i) std::swap(nodes[i - 1], nodes[Below(static_cast<unsigned>(i))]);
    return nodes;
  }

 private:
  // Not a distribution of the library: these differ from one to the next.
  unsigned Below(unsigned bound) { return static_cast<unsigned>(random_() % bound); }
  pid_t Any(bool reaper_too) {
    const std::vector<TreeNode> nodes = kernel_.Nodes();
    const unsigned pick = Below(static_cast<unsigned>(nodes.size()) + (reaper_too ? 1 : 0));
    return pick == nodes.size() ? outside_.reaper : nodes[pick].pid;
  }
  pid_t NewNumber() {
    if (!mix_.shuffled_numbers) return ++last_number_;
    pid_t number = 0;
    do {
      number = static_cast<pid_t>(2 + Below(500));
    } while (kernel_.Taken(number));
    return number;
  }

  void Operate() {
    const size_t count = kernel_.Nodes().size();
    if (count == 0) {
      kernel_.Fork(outside_.reaper, NewNumber());
      return;
    }
    unsigned pick = Below(mix_.fork + mix_.set_sid + mix_.set_pgid + mix_.exit + mix_.reap + mix_.subreaper);
    const auto is = [&pick](unsigned chance) {
      if (pick < chance) return true;
      pick -= chance;
      return false;
    };
    // Refused operations are no operations: the model says so.
    if (is(mix_.fork)) {
      if (count < mix_.max_processes) kernel_.Fork(Any(Below(4) == 0), NewNumber());
    } else if (is(mix_.set_sid)) {
      kernel_.SetSid(Any(false));
    } else if (is(mix_.set_pgid)) {
      SetPgid();
    } else if (is(mix_.exit)) {
      Exit();
    } else if (is(mix_.reap)) {
      kernel_.Reap(Any(false), Any(false));
    } else {
      kernel_.SetSubreaper(Any(false), Below(2) == 0);
    }
  }

  void SetPgid() {
    const pid_t pid = Any(false);
    const std::vector<TreeNode> nodes = kernel_.Nodes();
    kernel_.SetPgid(pid, Below(3) == 0 ? pid : nodes[Below(static_cast<unsigned>(nodes.size()))].pgid);
  }

  // Mostly reaped: else zombies would soon be the most.
  void Exit() {
    const pid_t pid = Any(false);
    pid_t parent = 0;
    for (const TreeNode& node : kernel_.Nodes()) {
      if (node.pid == pid) parent = node.ppid;
    }
    if (kernel_.Exit(pid) && Below(4) != 0) kernel_.Reap(parent, pid);
  }

  std::mt19937 random_;
  Mix mix_;
  TreeOutside outside_;
  KernelModel kernel_;
  pid_t last_number_ = 1;
};

void SolveAll(uint32_t first_seed, uint32_t count, const Mix& mix, const TreeOutside& outside) {
  for (uint32_t seed = first_seed; seed < first_seed + count; ++seed) {
    const std::vector<TreeNode> nodes = History(seed, mix, outside).Run();
    const auto plan = PlanTree(nodes, outside);
    ASSERT_TRUE(plan) << "seed " << seed << ": " << plan.error().ToString() << "\n" << Describe(nodes);
    ASSERT_EQ(WhatGoesWrong(*plan, nodes, outside), "") << "seed " << seed << "\n"
                                                        << Describe(nodes) << Describe(*plan);
  }
}

constexpr TreeOutside kCapsule{.reaper = 1, .session = 1, .group = 1};

TEST(PlanTreeRandom, OrdinaryMix) { SolveAll(0, 2000, {}, kCapsule); }

TEST(PlanTreeRandom, ShuffledNumbers) { SolveAll(10'000, 2000, {.shuffled_numbers = true}, kCapsule); }

TEST(PlanTreeRandom, ManySubreapersThatComeAndGo) {
  SolveAll(20'000, 2000, {.exit = 25, .subreaper = 40, .operations = 150, .shuffled_numbers = true}, kCapsule);
}

TEST(PlanTreeRandom, ManySessions) {
  SolveAll(30'000, 2000, {.set_sid = 40, .subreaper = 12, .operations = 120}, kCapsule);
}

TEST(PlanTreeRandom, ManyGroups) {
  SolveAll(40'000, 1000, {.set_sid = 4, .set_pgid = 60, .max_processes = 9, .operations = 200}, kCapsule);
}

TEST(PlanTreeRandom, Large) {
  SolveAll(50'000, 100, {.subreaper = 10, .max_processes = 120, .operations = 1500}, kCapsule);
}

TEST(PlanTreeRandom, SessionAndGroupOutside) {
  constexpr TreeOutside kShell{.reaper = 7000, .session = 6000, .group = 6500};
  SolveAll(60'000, 1000, {.subreaper = 12}, kShell);
}

}  // namespace
}  // namespace baton
