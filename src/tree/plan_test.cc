#include "tree/plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tree/plan_check.h"

namespace baton {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Kind = TreeStep::Kind;

constexpr TreeOutside kCapsule{.reaper = 1, .session = 1, .group = 1};

// The plan, checked on the model.
TreePlan Planned(const std::vector<TreeNode>& nodes, const TreeOutside& outside = kCapsule) {
  auto plan = PlanTree(nodes, outside);
  EXPECT_TRUE(plan) << plan.error().ToString() << "\n" << Describe(nodes);
  if (!plan) return {};
  EXPECT_EQ(WhatGoesWrong(*plan, nodes, outside), "") << Describe(nodes) << Describe(*plan);
  return std::move(*plan);
}

ErrorCode Refused(const std::vector<TreeNode>& nodes, const TreeOutside& outside = kCapsule) {
  const auto plan = PlanTree(nodes, outside);
  EXPECT_FALSE(plan) << Describe(nodes) << Describe(*plan);
  return plan ? ErrorCode::kInternal : plan.error().code();
}

TEST(PlanTree, OrdinaryTreeNeedsNothingTemporary) {
  // A shell with a pipeline in its own group, and a child that has its own session.
  const TreePlan plan = Planned({{2, 1, 2, 2}, {3, 2, 3, 2}, {4, 2, 3, 2}, {5, 2, 5, 5}, {6, 5, 5, 5}});
  EXPECT_TRUE(plan.temporaries.empty());
  EXPECT_FALSE(plan.reaper_adopts);
  EXPECT_EQ(plan.steps.front(), (TreeStep{Kind::kFork, 2, 1}));
}

TEST(PlanTree, Nothing) { EXPECT_TRUE(Planned({}).steps.empty()); }

std::vector<pid_t> NumbersOf(const TreePlan& plan) {
  std::vector<pid_t> numbers;
  numbers.reserve(plan.temporaries.size());
  for (const TemporaryProcess& temporary : plan.temporaries) numbers.push_back(temporary.pid);
  return numbers;
}

TEST(PlanTree, DaemonWhoseSessionLeaderIsDead) {
  const TreePlan plan = Planned({{9, 1, 8, 8}, {10, 9, 8, 8}});
  EXPECT_THAT(NumbersOf(plan), ElementsAre(8));
  EXPECT_FALSE(plan.temporaries[0].any_number);
  EXPECT_TRUE(plan.reaper_adopts);
}

TEST(PlanTree, DeadSessionLeaderWithGroupsOfItsOwn) {
  Planned({{9, 1, 9, 8}, {10, 1, 8, 8}, {11, 9, 20, 8}, {12, 10, 9, 8}});
}

TEST(PlanTree, GroupWhoseLeaderIsDead) {
  // A pipeline, the first process of which has ended.
  const TreePlan plan = Planned({{2, 1, 2, 2}, {4, 2, 3, 2}, {5, 2, 3, 2}});
  EXPECT_THAT(NumbersOf(plan), ElementsAre(3));
  EXPECT_FALSE(plan.reaper_adopts);
}

TEST(PlanTree, GroupWhoseLeaderIsZombie) {
  EXPECT_TRUE(Planned({{2, 1, 2, 2}, {3, 2, 3, 2, true}, {4, 2, 3, 2}}).temporaries.empty());
}

TEST(PlanTree, SessionWhoseLeaderIsZombie) {
  EXPECT_FALSE(Planned({{2, 1, 2, 2}, {3, 2, 3, 3, true}, {4, 1, 3, 3}}).temporaries.empty());
}

TEST(PlanTree, LeaderInAnotherGroupThanItsOwn) {
  Planned({{2, 1, 2, 2}, {3, 2, 2, 2}, {4, 3, 3, 2}});
  Planned({{2, 1, 2, 2}, {3, 2, 4, 2}, {4, 2, 2, 2}, {5, 3, 3, 2}});
}

TEST(PlanTree, TwoLeadersEachInTheOthersGroup) { Planned({{2, 1, 2, 2}, {3, 2, 4, 2}, {4, 2, 3, 2}}); }

TEST(PlanTree, GroupOfAnotherBranch) {
  Planned({{2, 1, 2, 2}, {3, 2, 3, 2}, {4, 3, 6, 2}, {5, 2, 2, 2}, {6, 5, 6, 2}});
}

TEST(PlanTree, OrphanOfTheReaper) {
  const TreePlan plan = Planned({{2, 1, 2, 2}, {4, 1, 2, 2}});
  EXPECT_TRUE(plan.reaper_adopts);
  EXPECT_EQ(plan.temporaries.size(), 1U);
  EXPECT_TRUE(plan.temporaries[0].any_number);
}

TEST(PlanTree, OrphanOfSubreaperInside) {
  const TreePlan plan = Planned({{2, 1, 2, 2, false, true}, {3, 2, 3, 3}, {5, 2, 3, 3}});
  EXPECT_FALSE(plan.reaper_adopts);
  EXPECT_EQ(plan.steps.back(), (TreeStep{Kind::kSetSubreaper, 2, 0, true}));
}

TEST(PlanTree, AdoptedByOneThatIsNoSubreaperAnyMore) {
  const TreePlan plan = Planned({{2, 1, 2, 2}, {3, 2, 3, 3}, {5, 2, 3, 3}});
  EXPECT_EQ(std::ranges::count(plan.steps, Kind::kSetSubreaper, &TreeStep::kind), 2);
}

TEST(PlanTree, ChildInSessionThatItsParentHasLeft) {
  // 3 forked 4, then called setsid(), then forked 5.
  const TreePlan plan = Planned({{2, 1, 2, 2}, {3, 2, 3, 3}, {4, 3, 2, 2}, {5, 3, 3, 3}});
  EXPECT_TRUE(plan.temporaries.empty());
}

TEST(PlanTree, ChainOfSessionsEachLeftAfterFork) {
  Planned({{2, 1, 2, 2}, {3, 2, 3, 3}, {4, 3, 4, 4}, {5, 4, 2, 2}, {6, 5, 2, 2}, {7, 4, 4, 4}});
}

TEST(PlanTree, LeaderThatMovedUpPastAMemberOfItsSession) {
  // 3 adopted 5, a child of 4, then 4 was adopted by 2.
  Planned({{2, 1, 2, 2}, {3, 2, 2, 2}, {4, 2, 4, 4}, {5, 3, 4, 4}});
}

TEST(PlanTree, MembersUnderTwoThatWereAboveOneAnother) {
  // Of a session whose leader is dead, and which was below both 3 and 4 once.
  Planned({{2, 1, 2, 2}, {3, 2, 2, 2}, {4, 2, 2, 2}, {5, 3, 9, 9}, {6, 4, 9, 9}});
}

TEST(PlanTree, SeveralRoots) { Planned({{2, 1, 2, 2}, {3, 1, 3, 3}, {4, 1, 4, 4}, {5, 4, 4, 4}}); }

constexpr TreeOutside kShell{.reaper = 1, .session = 700, .group = 710};

TEST(PlanTree, SessionAndGroupOutside) {
  EXPECT_TRUE(Planned({{800, 1, 710, 700}, {801, 800, 710, 700}}, kShell).temporaries.empty());
  EXPECT_TRUE(Planned({{800, 1, 800, 700}, {801, 800, 800, 700}, {802, 800, 710, 700}}, kShell).temporaries.empty());
}

TEST(PlanTree, GroupOutsideIsJoinedAgain) {
  // 801 made a group for 802 and went back.
  Planned({{800, 1, 710, 700}, {801, 800, 710, 700}, {802, 800, 801, 700}}, kShell);
}

TEST(PlanTree, SessionOutsideThatIsNotVisible) { Planned({{3, 1, 0, 0}, {4, 3, 3, 0}}, {.session = 0, .group = 0}); }

TEST(PlanTree, TemporaryNumbersAvoidAllOthers) {
  const std::vector<TreeNode> nodes{{2, 1, 2, 2}, {31999, 1, 2, 2}};
  const std::vector<pid_t> avoid{32000, 31998};
  const auto plan = PlanTree(nodes, kCapsule, avoid);
  ASSERT_TRUE(plan);
  EXPECT_THAT(NumbersOf(*plan), ElementsAre(31997));
}

TEST(PlanTree, CorruptNumbers) {
  const std::vector<std::vector<TreeNode>> cases{
      {{2, 1, 2, 2}, {2, 1, 2, 2}},                // twice
      {{0, 1, 2, 2}},                              // no number
      {{-5, 1, 2, 2}},                             //
      {{2, 1, -2, 2}},                             //
      {{2, 3, 2, 2}, {3, 2, 3, 3}},                // parents of one another
      {{2, 1, 2, 2}, {3, 3, 3, 3}},                // its own parent
      {{2, 1, 2, 2}, {3, 7, 2, 2}},                // no such parent
      {{2, 1, 2, 2, true}, {3, 2, 2, 2}},          // child of a zombie
      {{2, 1, 2, 2}, {3, 2, 2, 3}},                // session leader in another's group
      {{2, 1, 2, 2}, {3, 2, 3, 3}, {4, 2, 3, 2}},  // group in two sessions
      {{2, 1, 2, 2}, {3, 1, 9, 3}},                // the same, by a leader
      {{2, 1, 2, 2}, {3, 2, 2, 2}, {4, 1, 3, 3}},  // leader of the session is in another
      {{3, 1, 9, 8}, {4, 1, 9, 7}},                // group of dead leader in two sessions
      {{3, 1, 8, 8}, {4, 1, 8, 7}},                // group of a session leader in another session
      {{2, 1, 2, 2}, {3, 2, 3, 2}, {4, 1, 3, 4}},  //
  };
  for (const std::vector<TreeNode>& nodes : cases) EXPECT_EQ(Refused(nodes), ErrorCode::kCorrupt) << Describe(nodes);
  EXPECT_EQ(Refused({{700, 1, 700, 700}}, kShell), ErrorCode::kCorrupt);
  EXPECT_EQ(Refused({{800, 1, 800, 800}, {801, 1, 710, 800}}, kShell), ErrorCode::kCorrupt);
}

TEST(PlanTree, ShapesThatCannotComeAbout) {
  const std::vector<std::vector<TreeNode>> cases{
      {{2, 1, 3, 3}, {3, 2, 3, 3}},  // born in a session that its child made
      // 5 of session 3 has a child in session 4, 6 of session 4 one in session 3: which session was there first?
      {{3, 1, 3, 3}, {5, 3, 3, 3}, {4, 1, 4, 4}, {6, 4, 4, 4}, {10, 5, 4, 4}, {11, 6, 3, 3}},
      {{3, 1, 3, 3}, {4, 3, 1, 1}, {5, 4, 5, 5}, {6, 5, 3, 3}},  // session 3 below one that was never in it
      {{1, 0, 1, 1}},                                            // the reaper's number
      {{2, 1, 0, 0}},                                            // a session that is nowhere
  };
  for (const std::vector<TreeNode>& nodes : cases) {
    EXPECT_EQ(Refused(nodes), ErrorCode::kNotSupported) << Describe(nodes);
  }
  const auto plan = PlanTree(cases[0], kCapsule);
  ASSERT_FALSE(plan);
  EXPECT_THAT(plan.error().ToString(), HasSubstr("2"));
  EXPECT_THAT(plan.error().ToString(), HasSubstr("3"));
}

}  // namespace
}  // namespace baton
