#include "pool/decide/keeper.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace baton::pool {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr UnitKey kUnit{.job = 4, .epoch = 2};
constexpr Instant kBegin = seconds(100);

template <typename Action>
const Action* Find(const std::vector<KeeperAction>& actions) {
  for (const KeeperAction& action : actions) {
    if (const auto* found = std::get_if<Action>(&action)) return found;
  }
  return nullptr;
}

template <typename Action>
bool Has(const std::vector<KeeperAction>& actions) {
  return Find<Action>(actions) != nullptr;
}

UnitOrder Order(Verdict verdict, uint64_t epoch = kUnit.epoch) {
  return {.unit = {.job = kUnit.job, .epoch = epoch}, .verdict = verdict};
}

Instruction Grant(Instant sent_at) { return {.order = Order(Verdict::kGrant), .sent_at = sent_at}; }

class KeeperDecisions : public testing::Test {
 protected:
  std::vector<KeeperAction> On(const KeeperEvent& event) { return Decide(keeper_, event, now_); }
  std::vector<KeeperAction> At(Instant now, const KeeperEvent& event = KeeperTick{}) {
    now_ = now;
    return On(event);
  }
  // It runs, with a lease until kBegin + 3 s.
  void Start(Span every = Span(0)) {
    keeper_ = MakeKeeper(kUnit, {}, every, kBegin + seconds(3), kBegin);
    ASSERT_TRUE(Has<RunUnit>(On(UnitReady{})));
  }

  Instant now_ = kBegin;
  KeeperState keeper_ = MakeKeeper(kUnit, {}, Span(0), kBegin + seconds(3), kBegin);
};

TEST_F(KeeperDecisions, RunsWhenReadyWithinTheLeaseOfItsOrder) {
  EXPECT_TRUE(Has<RunUnit>(On(UnitReady{.resumed_from = CheckpointRef{.epoch = 1, .number = 3}})));
  const KeeperReport report = ReportOf(keeper_, now_);
  EXPECT_EQ(report.state, UnitState::kRunning);
  EXPECT_EQ(report.resumed_from, (CheckpointRef{.epoch = 1, .number = 3}));
}

TEST_F(KeeperDecisions, WaitsForAGrantIfItWasLongInStarting) {
  EXPECT_FALSE(Has<RunUnit>(At(kBegin + seconds(3), UnitReady{})));
  EXPECT_EQ(ReportOf(keeper_, now_).state, UnitState::kFrozen);
  EXPECT_TRUE(Has<RunUnit>(On(Grant(now_))));
}

TEST_F(KeeperDecisions, FreezesAtTheEndOfTheLeaseAndNotBefore) {
  Start();
  EXPECT_FALSE(Has<FreezeUnit>(At(kBegin + milliseconds(2999))));
  EXPECT_LE(NextWake(keeper_), kBegin + seconds(3));
  EXPECT_TRUE(Has<FreezeUnit>(At(kBegin + seconds(3))));
  EXPECT_FALSE(Has<FreezeUnit>(At(kBegin + milliseconds(3001)))) << "once";
}

TEST_F(KeeperDecisions, CountsFromWhenTheRequestWasSent) {
  Start();
  At(kBegin + milliseconds(2900), Grant(kBegin + seconds(1)));
  EXPECT_FALSE(Has<FreezeUnit>(At(kBegin + milliseconds(3999))));
  EXPECT_TRUE(Has<FreezeUnit>(At(kBegin + seconds(4))));
}

TEST_F(KeeperDecisions, AnOlderGrantThatComesLaterTakesNothingAway) {
  Start();
  At(kBegin + seconds(2), Grant(kBegin + milliseconds(1900)));
  On(Grant(kBegin + seconds(1)));
  EXPECT_FALSE(Has<FreezeUnit>(At(kBegin + milliseconds(4899))));
}

TEST_F(KeeperDecisions, AGrantOfARequestThatWasNeverSentIsNone) {
  Start();
  On(Grant(kBegin + seconds(50)));
  EXPECT_TRUE(Has<FreezeUnit>(At(kBegin + seconds(3))));
}

TEST_F(KeeperDecisions, ThawsOnlyOnAFreshGrantForItsEpoch) {
  Start();
  At(kBegin + seconds(3));
  At(kBegin + milliseconds(3100), UnitFrozen{});
  EXPECT_FALSE(Has<RunUnit>(At(kBegin + seconds(10), Grant(kBegin + seconds(7))))) << "over already";
  EXPECT_FALSE(Has<RunUnit>(On({Instruction{.order = Order(Verdict::kGrant, 1), .sent_at = now_}}))) << "older epoch";
  EXPECT_FALSE(Has<RunUnit>(On({Instruction{.order = Order(Verdict::kNone), .sent_at = now_}})));
  EXPECT_TRUE(Has<RunUnit>(On(Grant(kBegin + milliseconds(7001)))));
  EXPECT_EQ(ReportOf(keeper_, now_).frozen, seconds(7));
}

TEST_F(KeeperDecisions, ALeaseThatComesWhileItIsFrozenIsTakenWhenItStandsStill) {
  Start();
  At(kBegin + seconds(3));
  EXPECT_FALSE(Has<RunUnit>(At(kBegin + milliseconds(3100), Grant(kBegin + seconds(3)))));
  EXPECT_TRUE(Has<RunUnit>(At(kBegin + milliseconds(3200), UnitFrozen{})));
}

TEST_F(KeeperDecisions, KillsWhatCannotBeFrozenWithinTheBound) {
  Start();
  At(kBegin + seconds(3));
  EXPECT_FALSE(Has<KillUnit>(At(kBegin + milliseconds(4999))));
  EXPECT_LE(NextWake(keeper_), kBegin + seconds(5));
  EXPECT_TRUE(Has<KillUnit>(At(kBegin + seconds(5))));
  EXPECT_TRUE(At(kBegin + seconds(6)).empty()) << "nothing after the end";
}

TEST_F(KeeperDecisions, KillsWhenToldOfAHigherEpochOrOfTheEnd) {
  for (const auto& [verdict, epoch] :
       {std::pair(Verdict::kGrant, uint64_t{3}), std::pair(Verdict::kNone, uint64_t{3}),
        std::pair(Verdict::kKill, kUnit.epoch), std::pair(Verdict::kForget, kUnit.epoch)}) {
    Start();
    EXPECT_TRUE(Has<KillUnit>(On(Instruction{.order = Order(verdict, epoch), .sent_at = now_})));
    Start();
    EXPECT_FALSE(Has<KillUnit>(On(Instruction{.order = {.unit = {.job = 5, .epoch = epoch}, .verdict = verdict}})));
  }
  Start();
  EXPECT_FALSE(Has<KillUnit>(On(Instruction{.order = Order(Verdict::kKill, 1)}))) << "meant for an older one";
}

TEST_F(KeeperDecisions, GivesUpAfterADayWithoutALease) {
  Start();
  At(kBegin + seconds(3));
  On(UnitFrozen{});
  EXPECT_FALSE(Has<KillUnit>(At(kBegin + seconds(2) + hours(24))));
  EXPECT_TRUE(Has<KillUnit>(At(kBegin + seconds(3) + hours(24))));
}

TEST_F(KeeperDecisions, AsksJustBeforeTheWorkersNextReport) {
  Start();
  On(Instruction{.order = Order(Verdict::kGrant), .sent_at = now_, .next_report_at = kBegin + milliseconds(700)});
  EXPECT_EQ(NextWake(keeper_), kBegin + milliseconds(600));
  const auto asked = At(kBegin + milliseconds(600));
  ASSERT_TRUE(Has<SendKeeperReport>(asked));
  EXPECT_EQ(Find<SendKeeperReport>(asked)->sent_at, kBegin + milliseconds(600));
  EXPECT_FALSE(Find<SendKeeperReport>(asked)->direct);
  EXPECT_TRUE(Find<SendKeeperReport>(asked)->report.renew);
}

TEST_F(KeeperDecisions, AsksTheControllerItselfOnceTheWorkerIsSilent) {
  Start();
  At(kBegin + seconds(1), WorkerHeard{});
  EXPECT_FALSE(Has<SendKeeperReport>(At(kBegin + milliseconds(1999))));
  EXPECT_FALSE(Find<SendKeeperReport>(At(kBegin + seconds(2)))->direct);
  EXPECT_EQ(NextWake(keeper_), kBegin + milliseconds(2500)) << "it does not wait for its turn";
  EXPECT_TRUE(Find<SendKeeperReport>(At(kBegin + milliseconds(2500)))->direct);
  On({Instruction{.order = Order(Verdict::kGrant), .sent_at = now_, .direct = true}});
  EXPECT_TRUE(Find<SendKeeperReport>(At(kBegin + milliseconds(3500)))->direct) << "still silent";
  On(WorkerConnected{});
  EXPECT_FALSE(Find<SendKeeperReport>(At(kBegin + milliseconds(4500)))->direct);
}

TEST_F(KeeperDecisions, AsksTheControllerItselfAtOnceWhenTheWorkerDies) {
  Start();
  const auto asked = At(kBegin + milliseconds(10), WorkerDisconnected{});
  ASSERT_TRUE(Has<SendKeeperReport>(asked));
  EXPECT_TRUE(Find<SendKeeperReport>(asked)->direct);
}

TEST_F(KeeperDecisions, MakesCheckpointsByTheClockOneAtATime) {
  Start(seconds(2));
  EXPECT_FALSE(Has<MakeCheckpoint>(At(kBegin + milliseconds(1999))));
  EXPECT_LE(NextWake(keeper_), kBegin + seconds(2));
  EXPECT_EQ(Find<MakeCheckpoint>(At(kBegin + seconds(2), Grant(kBegin + seconds(2))))->number, 1U);
  EXPECT_FALSE(Has<MakeCheckpoint>(At(kBegin + milliseconds(4500), Grant(kBegin + milliseconds(4500)))));
  EXPECT_EQ(Find<MakeCheckpoint>(On(CheckpointFailed{.why = "disk full"}))->number, 2U) << "numbers are not used again";
}

TEST_F(KeeperDecisions, MakesNoCheckpointWithoutALease) {
  Start(seconds(2));
  At(kBegin + seconds(3));
  On(CheckpointFailed{.why = "x"});
  On(UnitFrozen{});
  EXPECT_FALSE(Has<MakeCheckpoint>(At(kBegin + seconds(9))));
}

TEST_F(KeeperDecisions, OffersACheckpointUntilItIsAnswered) {
  Start();
  On(CheckpointMade{.offer = {.number = 1, .manifest_hash = "a"}});
  On(CheckpointMade{.offer = {.number = 2, .manifest_hash = "b"}});
  EXPECT_EQ(ReportOf(keeper_, now_).offers.size(), 2U);
  UnitOrder order = Order(Verdict::kNone);
  order.answers = {{.number = 1, .accepted = true}};
  On(Instruction{.order = order});
  ASSERT_EQ(ReportOf(keeper_, now_).offers.size(), 1U);
  EXPECT_EQ(ReportOf(keeper_, now_).offers[0].number, 2U);
}

TEST_F(KeeperDecisions, AnswersARequestForACheckpointAlsoWhenItFails) {
  Start();
  Instruction instruction = Grant(now_);
  instruction.order.request = 7;
  EXPECT_TRUE(Has<MakeCheckpoint>(On(instruction)));
  EXPECT_FALSE(Has<MakeCheckpoint>(On(instruction))) << "the same request again";
  EXPECT_EQ(ReportOf(keeper_, now_).request_done, 0U);
  On(CheckpointFailed{.why = "disk full"});
  EXPECT_EQ(ReportOf(keeper_, now_).request_done, 7U);
  EXPECT_EQ(ReportOf(keeper_, now_).request_error, "disk full");
}

TEST_F(KeeperDecisions, AProgramThatAsksGetsACheckpointOfItsOwn) {
  Start();
  EXPECT_TRUE(Has<MakeCheckpoint>(On(ProgramAsks{})));
  EXPECT_FALSE(Has<MakeCheckpoint>(On(ProgramAsks{}))) << "one at a time";
  EXPECT_TRUE(Has<MakeCheckpoint>(On(CheckpointMade{})));
  EXPECT_FALSE(Has<MakeCheckpoint>(On(CheckpointMade{})));
  At(kBegin + seconds(3));
  EXPECT_FALSE(Has<MakeCheckpoint>(On(ProgramAsks{}))) << "it has no lease";
}

TEST_F(KeeperDecisions, ARequestThatComesDuringACheckpointMeansTheNextOne) {
  Start();
  Instruction instruction = Grant(now_);
  instruction.order.request = 1;
  On(instruction);
  instruction.order.request = 2;
  EXPECT_FALSE(Has<MakeCheckpoint>(On(instruction)));
  const auto next = On(CheckpointMade{.offer = {.number = 1}});
  EXPECT_EQ(ReportOf(keeper_, now_).request_done, 1U);
  EXPECT_TRUE(Has<MakeCheckpoint>(next));
}

class StoppingKeeper : public KeeperDecisions {
 protected:
  void AskToStop() {
    Start();
    Instruction instruction = Grant(now_);
    instruction.order.request = 1;
    instruction.order.stop = true;
    const auto actions = On(instruction);
    ASSERT_TRUE(Has<MakeCheckpoint>(actions));
    EXPECT_TRUE(Find<MakeCheckpoint>(actions)->final);
  }
};

TEST_F(StoppingKeeper, NothingLetsAStoppedUnitGoOn) {
  AskToStop();
  On(CheckpointMade{.offer = {.number = 1}});
  EXPECT_EQ(ReportOf(keeper_, now_).state, UnitState::kStopped);
  EXPECT_EQ(ReportOf(keeper_, now_).final_checkpoint, 1U);
  EXPECT_FALSE(Has<RunUnit>(On(Grant(now_))));
  EXPECT_FALSE(Has<FreezeUnit>(At(kBegin + seconds(30))));
  EXPECT_TRUE(Has<KillUnit>(On(Instruction{.order = Order(Verdict::kKill)})));
}

TEST_F(StoppingKeeper, GoesOnIfTheLastCheckpointFails) {
  AskToStop();
  On(CheckpointFailed{.why = "disk full"});
  EXPECT_EQ(ReportOf(keeper_, now_).state, UnitState::kRunning);
  EXPECT_EQ(ReportOf(keeper_, now_).request_error, "disk full");
  keeper_.every = seconds(1);
  EXPECT_FALSE(Find<MakeCheckpoint>(At(kBegin + seconds(2)))->final) << "the stop was for that one";
}

TEST_F(StoppingKeeper, StopsAlsoIfTheLeaseEndsMeanwhile) {
  AskToStop();
  At(kBegin + seconds(3));
  On(UnitFrozen{});
  At(kBegin + seconds(5), CheckpointMade{.offer = {.number = 1}});
  EXPECT_EQ(ReportOf(keeper_, now_).state, UnitState::kStopped);
  EXPECT_EQ(ReportOf(keeper_, now_ + seconds(9)).frozen, seconds(2));
}

TEST_F(KeeperDecisions, AnEndedUnitIsLeftToItsWorker) {
  Start();
  EXPECT_TRUE(Has<Leave>(On(UnitEnded{.exit_code = 3, .result = "r"})));
}

TEST_F(KeeperDecisions, AnEndedUnitReportsItselfWhileItsWorkerIsAway) {
  Start();
  On(WorkerDisconnected{});
  const auto actions = On(UnitEnded{.exit_code = 3, .result = "r"});
  EXPECT_FALSE(Has<Leave>(actions));
  ASSERT_TRUE(Has<SendKeeperReport>(actions));
  EXPECT_EQ(Find<SendKeeperReport>(actions)->report.state, UnitState::kEnded);
  EXPECT_EQ(Find<SendKeeperReport>(actions)->report.exit_code, 3);
  EXPECT_FALSE(Has<FreezeUnit>(At(kBegin + seconds(10)))) << "there is nothing to freeze";
  EXPECT_TRUE(Has<Leave>(On(WorkerConnected{})));
}

}  // namespace
}  // namespace baton::pool
