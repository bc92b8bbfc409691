#include "pool/decide/worker.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace baton::pool {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Instant kBegin = seconds(100);
constexpr UnitKey kUnit{.job = 4, .epoch = 2};

template <typename Action>
std::vector<Action> All(const std::vector<WorkerAction>& actions) {
  std::vector<Action> found;
  for (const WorkerAction& action : actions) {
    if (const auto* one = std::get_if<Action>(&action)) found.push_back(*one);
  }
  return found;
}

class WorkerDecisions : public testing::Test {
 protected:
  std::vector<WorkerAction> On(const WorkerEvent& event) { return Decide(worker_, event, now_); }
  // The report of the next turn.
  WorkerReport Turn() {
    now_ = worker_.next_report_at;
    const auto sent = All<SendWorkerReport>(On(WorkerTick{}));
    EXPECT_EQ(sent.size(), 1U);
    return sent.empty() ? WorkerReport{} : sent[0].report;
  }
  static WorkerOrders AnswerTo(const WorkerReport& report) {
    return {.worker = report.worker, .incarnation = report.incarnation, .sequence = report.sequence};
  }
  std::vector<WorkerAction> Answer(const WorkerReport& report, Verdict verdict) {
    WorkerOrders orders = AnswerTo(report);
    orders.units = {{.unit = kUnit, .verdict = verdict}};
    return On(OrdersCame{.orders = orders});
  }
  std::vector<WorkerAction> Order(const WorkerReport& report, UnitKey unit = kUnit) {
    WorkerOrders orders = AnswerTo(report);
    orders.starts = {{.unit = unit, .spec = "spec"}};
    return On(OrdersCame{.orders = orders});
  }
  void Start() { ASSERT_EQ(All<StartUnit>(Order(Turn())).size(), 1U); }
  std::vector<WorkerAction> Say(UnitState state, Instant sent_at) {
    return On(KeeperSaid{.report = {.unit = kUnit, .state = state, .renew = true}, .sent_at = sent_at});
  }

  Instant now_ = kBegin;
  WorkerState worker_ = MakeWorker({.id = "w", .incarnation = 3, .boot_id = "b"}, {}, {}, kBegin);
};

TEST_F(WorkerDecisions, ReportsOnceASecondWithRisingNumbers) {
  const WorkerReport first = Turn();
  EXPECT_EQ(now_, kBegin);
  EXPECT_TRUE(On(WorkerTick{}).empty());
  const WorkerReport second = Turn();
  EXPECT_EQ(now_, kBegin + seconds(1));
  EXPECT_GT(second.sequence, first.sequence);
  EXPECT_EQ(second.incarnation, 3U);
  EXPECT_EQ(second.boot_id, "b");
}

TEST_F(WorkerDecisions, ReportsOnceAfterASleep) {
  Turn();
  now_ += seconds(100);
  EXPECT_EQ(All<SendWorkerReport>(On(WorkerTick{})).size(), 1U);
  EXPECT_TRUE(On(WorkerTick{}).empty());
}

TEST_F(WorkerDecisions, StartsAUnitOnceHoweverOftenItIsTold) {
  const WorkerReport first = Turn();
  const WorkerReport second = Turn();
  const auto started = All<StartUnit>(Order(first));
  ASSERT_EQ(started.size(), 1U);
  EXPECT_EQ(started[0].granted_until, kBegin + seconds(3)) << "from when the report was sent";
  EXPECT_TRUE(All<StartUnit>(Order(second)).empty());
}

TEST_F(WorkerDecisions, StartsNothingFromAnAnswerThatCameTooLate) {
  const WorkerReport report = Turn();
  now_ += seconds(3);
  EXPECT_TRUE(All<StartUnit>(Order(report)).empty());
  EXPECT_TRUE(worker_.units.empty());
}

TEST_F(WorkerDecisions, AnswersOlderThanOneTakenAreNotLookedAt) {
  const WorkerReport first = Turn();
  const WorkerReport second = Turn();
  On(OrdersCame{.orders = AnswerTo(second)});
  EXPECT_TRUE(All<StartUnit>(Order(first)).empty());
  EXPECT_TRUE(All<StartUnit>(Order(second)).empty()) << "nor the same one again";
}

TEST_F(WorkerDecisions, AnswersToAnotherLifeAreNotLookedAt) {
  WorkerReport report = Turn();
  report.incarnation = 2;
  EXPECT_TRUE(All<StartUnit>(Order(report)).empty());
}

TEST_F(WorkerDecisions, PassesAGrantOnWithTheKeepersOwnInstant) {
  Start();
  Say(UnitState::kRunning, kBegin + milliseconds(900));
  const WorkerReport report = Turn();
  ASSERT_EQ(report.keepers.size(), 1U);
  EXPECT_TRUE(report.keepers[0].renew);
  const auto told = All<InstructKeeper>(Answer(report, Verdict::kGrant));
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0].instruction.sent_at, kBegin + milliseconds(900));
  EXPECT_EQ(told[0].instruction.next_report_at, kBegin + seconds(2));
  EXPECT_EQ(told[0].instruction.order.verdict, Verdict::kGrant);
}

TEST_F(WorkerDecisions, PassesNoGrantOnThatWasNotAskedFor) {
  Start();
  Say(UnitState::kRunning, kBegin + milliseconds(900));
  Turn();
  const WorkerReport report = Turn();
  EXPECT_FALSE(report.keepers[0].renew) << "said once, asked once";
  const auto told = All<InstructKeeper>(Answer(report, Verdict::kGrant));
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0].instruction.order.verdict, Verdict::kNone);
}

TEST_F(WorkerDecisions, LetsAKeeperKnowThatItLives) {
  Start();
  EXPECT_EQ(All<AcknowledgeKeeper>(Say(UnitState::kRunning, now_)).size(), 1U);
}

TEST_F(WorkerDecisions, NewsGoOutOfTurnAndDoNotChangeTheBeat) {
  Start();
  Turn();
  const Instant beat = worker_.next_report_at;
  now_ += milliseconds(300);
  Say(UnitState::kRunning, now_);
  EXPECT_LE(NextWake(worker_), now_ + milliseconds(20));
  now_ = NextWake(worker_);
  EXPECT_EQ(All<SendWorkerReport>(On(WorkerTick{})).size(), 1U);
  EXPECT_EQ(worker_.next_report_at, beat);
}

TEST_F(WorkerDecisions, ReportsWhatDiedUntilToldToForget) {
  Start();
  Turn();
  On(UnitGone{.unit = kUnit, .why = "killed by signal 9"});
  WorkerReport report = Turn();
  ASSERT_EQ(report.keepers.size(), 1U);
  EXPECT_EQ(report.keepers[0].state, UnitState::kDied);
  EXPECT_EQ(report.keepers[0].detail, "killed by signal 9");
  EXPECT_FALSE(report.keepers[0].renew);
  EXPECT_TRUE(All<KillKeeper>(Answer(report, Verdict::kKill)).empty()) << "there is nothing to kill";
  report = Turn();
  EXPECT_EQ(All<ForgetUnit>(Answer(report, Verdict::kForget)).size(), 1U);
  EXPECT_TRUE(Turn().keepers.empty());
}

TEST_F(WorkerDecisions, ReportsHowAJobEnded) {
  Start();
  On(UnitGone{.unit = kUnit,
              .why = "",
              .ended = KeeperReport{.unit = kUnit, .state = UnitState::kEnded, .exit_code = 5, .result = "r"}});
  const WorkerReport report = Turn();
  EXPECT_EQ(report.keepers[0].state, UnitState::kEnded);
  EXPECT_EQ(report.keepers[0].exit_code, 5);
}

TEST_F(WorkerDecisions, DoesNotForgetWhatIsStillThere) {
  Start();
  const WorkerReport report = Turn();
  const auto actions = Answer(report, Verdict::kForget);
  EXPECT_TRUE(All<ForgetUnit>(actions).empty());
  EXPECT_EQ(All<KillKeeper>(actions).size(), 1U);
}

TEST_F(WorkerDecisions, SaysWhatCouldNotBeStarted) {
  Start();
  On(UnitNotStarted{.unit = kUnit, .why = "no space left"});
  const WorkerReport report = Turn();
  EXPECT_EQ(report.keepers[0].state, UnitState::kRefused);
  EXPECT_EQ(report.keepers[0].detail, "no space left");
}

TEST_F(WorkerDecisions, KnowsItsUnitsAgainAfterAStart) {
  worker_ = MakeWorker({.id = "w", .incarnation = 4}, {},
                       {{.unit = kUnit, .state = UnitState::kPreparing},
                        {.unit = {.job = 5, .epoch = 1}, .state = UnitState::kDied, .detail = "gone"}},
                       kBegin);
  const WorkerReport report = Turn();
  ASSERT_EQ(report.keepers.size(), 2U);
  EXPECT_FALSE(report.keepers[0].renew) << "not heard of yet";
  EXPECT_EQ(report.keepers[1].state, UnitState::kDied);
  EXPECT_TRUE(All<StartUnit>(Order(report)).empty());
  EXPECT_EQ(Say(UnitState::kRunning, now_).size(), 1U);
  EXPECT_TRUE(Turn().keepers[0].renew);
}

TEST_F(WorkerDecisions, KillsAKeeperThatWasForgotten) {
  EXPECT_EQ(All<KillKeeper>(Say(UnitState::kRunning, now_)).size(), 1U);
}

TEST_F(WorkerDecisions, StartsNothingWhenItIsAboutToLeave) {
  On(LeaveAsked{});
  const WorkerReport report = Turn();
  EXPECT_TRUE(report.leaving);
  EXPECT_TRUE(All<StartUnit>(Order(report)).empty());
  EXPECT_EQ(Turn().keepers[0].state, UnitState::kRefused);
}

TEST_F(WorkerDecisions, OffersOfADeadUnitStandUntilAnswered) {
  Start();
  On(KeeperSaid{.report = {.unit = kUnit, .state = UnitState::kRunning, .offers = {{.number = 1}}}, .sent_at = now_});
  On(UnitGone{.unit = kUnit, .why = "killed"});
  const WorkerReport report = Turn();
  EXPECT_EQ(report.keepers[0].offers.size(), 1U);
  WorkerOrders orders = AnswerTo(report);
  orders.units = {{.unit = kUnit, .answers = {{.number = 1, .accepted = true}}}};
  On(OrdersCame{.orders = orders});
  EXPECT_TRUE(Turn().keepers[0].offers.empty());
}

}  // namespace
}  // namespace baton::pool
