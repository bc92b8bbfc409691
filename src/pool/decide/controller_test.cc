#include "pool/decide/controller.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "pool/decide/placement.h"

namespace baton::pool {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr uint64_t kGib = uint64_t{1} << 30;

class ControllerDecisions : public testing::Test {
 protected:
  Decision On(const ControllerEvent& event) { return Decide(state_, event, now_); }
  void Tick(Instant now) {
    now_ = now;
    On(ControllerTick{});
  }

  WorkerOrders Report(const std::string& worker, std::vector<KeeperReport> keepers = {}, bool partial = false) {
    WorkerReport report{.worker = worker,
                        .incarnation = incarnation_[worker],
                        .sequence = ++sequence_[worker],
                        .boot_id = boot_[worker],
                        .partial = partial,
                        .capacity = {.cpus_milli = 2'000, .memory_bytes = 4 * kGib},
                        .keepers = std::move(keepers)};
    return Send(report);
  }
  WorkerOrders Send(const WorkerReport& report) {
    decision_ = On(ReportCame{.request = 9, .report = report});
    for (const ControllerAction& action : decision_.actions) {
      if (const auto* send = std::get_if<SendOrders>(&action)) return send->orders;
    }
    return {};
  }
  uint64_t Submit(JobNeeds needs = {}, RetryPolicy retry = {}) {
    Job job;
    job.needs = needs;
    job.retry = retry;
    job.spec = "spec";
    return Ask(SubmitAsked{.request = 1, .job = job}).job;
  }
  Answer Ask(const ControllerEvent& event) {
    for (const ControllerAction& action : On(event).actions) {
      if (const auto* answer = std::get_if<Answer>(&action)) return *answer;
    }
    return {};
  }
  // One job that runs on "a", epoch 1.
  void Run(RetryPolicy retry = {}) {
    Report("a");
    Submit({}, retry);
    ASSERT_EQ(Report("a").starts.size(), 1U);
    ASSERT_EQ(Report("a", {Alive(1)}).units.at(0).verdict, Verdict::kGrant);
  }
  static KeeperReport Alive(uint64_t epoch, UnitState state = UnitState::kRunning) {
    return {.unit = {.job = 1, .epoch = epoch}, .state = state, .renew = true};
  }
  static KeeperReport Silent(uint64_t epoch, UnitState state) {
    KeeperReport report = Alive(epoch, state);
    report.renew = false;
    return report;
  }
  static KeeperReport Over(uint64_t epoch, UnitState state, int exit_code = 0) {
    return {.unit = {.job = 1, .epoch = epoch}, .state = state, .exit_code = exit_code, .result = "r", .detail = "why"};
  }
  static KeeperReport Offering(uint64_t epoch, uint64_t number, const std::string& hash) {
    KeeperReport report = Alive(epoch);
    report.offers = {{.number = number, .manifest_hash = hash}};
    return report;
  }
  Verdict VerdictOn(const std::string& worker, const KeeperReport& keeper) {
    const WorkerOrders orders = Report(worker, {keeper});
    return orders.units.empty() ? Verdict::kNone : orders.units[0].verdict;
  }
  const Job& TheJob() { return state_.jobs.at(1); }

  Instant now_ = seconds(1000);
  ControllerState state_ = RecoverController({}, {}, {}, now_);
  Decision decision_;
  std::map<std::string, uint64_t> incarnation_, sequence_;
  std::map<std::string, std::string> boot_;
};

TEST_F(ControllerDecisions, ASubmittedJobIsStartedWhereThereIsRoom) {
  EXPECT_EQ(Submit(), 1U);
  EXPECT_EQ(TheJob().state, JobState::kQueued);
  const WorkerOrders orders = Report("a");
  ASSERT_EQ(orders.starts.size(), 1U);
  EXPECT_EQ(orders.starts[0].unit, (UnitKey{.job = 1, .epoch = 1}));
  EXPECT_EQ(orders.starts[0].spec, "spec");
  EXPECT_TRUE(orders.starts[0].resume_from.empty());
}

TEST_F(ControllerDecisions, AssignmentIsARowBeforeItIsAnOrder) {
  Submit();
  Report("a");
  const bool row = std::ranges::any_of(decision_.changes, [](const Change& change) {
    const auto* attempt = std::get_if<Attempt>(&change);
    return attempt != nullptr && attempt->unit == UnitKey{.job = 1, .epoch = 1} && attempt->worker == "a";
  });
  EXPECT_TRUE(row);
}

TEST_F(ControllerDecisions, TheOrderToStartComesAgainUntilTheUnitIsThere) {
  Submit();
  EXPECT_EQ(Report("a").starts.size(), 1U);
  EXPECT_EQ(Report("a").starts.size(), 1U);
  EXPECT_TRUE(Report("a", {Alive(1, UnitState::kPreparing)}).starts.empty());
}

TEST_F(ControllerDecisions, FreeProcessorsAndMemoryDecide) {
  Report("a");
  Report("b");
  Submit({.cpus_milli = 1'500, .memory_bytes = kGib});
  Submit({.cpus_milli = 1'500, .memory_bytes = kGib});
  Submit({.cpus_milli = 1'000, .memory_bytes = kGib});
  Submit({.cpus_milli = 500, .memory_bytes = 4 * kGib});
  Submit({.cpus_milli = 500, .memory_bytes = 3 * kGib});
  EXPECT_EQ(state_.attempts.at(1).worker, "a");
  EXPECT_EQ(state_.attempts.at(2).worker, "b") << "the one with more room";
  EXPECT_EQ(state_.jobs.at(3).state, JobState::kQueued) << "500 are left on each";
  EXPECT_EQ(state_.jobs.at(4).state, JobState::kQueued) << "3 GiB are left on each";
  EXPECT_EQ(state_.attempts.at(5).worker, "a");
}

TEST_F(ControllerDecisions, AnOldUnitTakesRoomUntilItIsGone) {
  boot_["b"] = "1";
  Run();
  Report("b");
  now_ += seconds(7);
  Report("b");
  Tick(now_);
  ASSERT_EQ(TheJob().epoch, 2U);
  Report("a", {Alive(1)});
  EXPECT_EQ(FreeRoom(state_, "a").cpus_milli, 1'000);
  Report("a", {Over(1, UnitState::kDied)});
  EXPECT_EQ(FreeRoom(state_, "a").cpus_milli, 2'000);
}

TEST_F(ControllerDecisions, GrantsOnlyWhatAsksForIt) {
  Run();
  KeeperReport silent = Alive(1);
  silent.renew = false;
  EXPECT_EQ(VerdictOn("a", silent), Verdict::kNone);
  EXPECT_EQ(VerdictOn("a", Alive(1)), Verdict::kGrant);
}

TEST_F(ControllerDecisions, HandsOverOnlyWhenTheLastGrantIsSurelyOver) {
  Run();
  const Instant granted = now_;
  const Instant due = granted + seconds(3) + seconds(3) + milliseconds(500);
  now_ = due - milliseconds(1);
  Report("b");
  Tick(now_);
  EXPECT_EQ(TheJob().epoch, 1U);
  Tick(due);
  EXPECT_EQ(TheJob().epoch, 2U);
  EXPECT_EQ(state_.attempts.at(1).worker, "b");
  EXPECT_EQ(VerdictOn("a", Alive(1)), Verdict::kKill) << "the old one, when it is back";
  EXPECT_EQ(VerdictOn("a", Over(1, UnitState::kDied)), Verdict::kForget);
}

TEST_F(ControllerDecisions, WithoutAnotherPlaceTheJobWaitsForItsWorker) {
  Run();
  Tick(now_ + seconds(60));
  EXPECT_EQ(TheJob().epoch, 1U);
  EXPECT_EQ(VerdictOn("a", Alive(1, UnitState::kFrozen)), Verdict::kGrant);
}

TEST_F(ControllerDecisions, AKeeperByItselfKeepsItsLeaseButBringsNoWorkerBack) {
  Run();
  for (int i = 0; i < 60; ++i) {
    now_ += seconds(1);
    EXPECT_EQ(Report("a", {Alive(1)}, /*partial=*/true).units.at(0).verdict, Verdict::kGrant);
    Report("b");
    Tick(now_);
  }
  EXPECT_EQ(TheJob().epoch, 1U);
  EXPECT_FALSE(IsPresent(state_, "a", now_));
}

TEST_F(ControllerDecisions, AfterAStartNobodyIsDeadBeforeALeaseCouldBeOver) {
  Run();
  std::vector<Change> rows = {state_.jobs.at(1), state_.attempts.at(1), state_.workers.at("a")};
  now_ += seconds(1000);
  state_ = RecoverController({}, {}, rows, now_);
  const Instant due = now_ + LeaseTerms{}.HandOverAfter();
  now_ = due - milliseconds(1);
  Report("b");
  Tick(now_);
  EXPECT_EQ(TheJob().epoch, 1U);
  Tick(due);
  EXPECT_EQ(TheJob().epoch, 2U);
}

TEST_F(ControllerDecisions, ADeadKeepersJobIsStartedAgainInTheSameAnswer) {
  Run();
  const WorkerOrders orders = Report("a", {Over(1, UnitState::kDied)});
  EXPECT_EQ(orders.units.at(0).verdict, Verdict::kForget);
  ASSERT_EQ(orders.starts.size(), 1U);
  EXPECT_EQ(orders.starts[0].unit.epoch, 2U);
}

TEST_F(ControllerDecisions, FailuresInARowWaitLongerAndLonger) {
  EXPECT_EQ(BackoffAfter({}, 1), seconds(0));
  EXPECT_EQ(BackoffAfter({}, 2), seconds(1));
  EXPECT_EQ(BackoffAfter({}, 4), seconds(4));
  EXPECT_EQ(BackoffAfter({}, 100), seconds(60));
  Run();
  Report("a", {Over(1, UnitState::kDied)});
  EXPECT_TRUE(Report("a", {Over(2, UnitState::kDied)}).starts.empty());
  now_ += milliseconds(999);
  EXPECT_TRUE(Report("a").starts.empty());
  now_ += milliseconds(1);
  EXPECT_EQ(Report("a").starts.size(), 1U);
}

TEST_F(ControllerDecisions, AJobThatIsAlwaysKilledFails) {
  Run({.max_failures = 2});
  Report("a", {Over(1, UnitState::kDied)});
  Report("a", {Over(2, UnitState::kDied)});
  now_ += seconds(1);
  Report("a");
  Report("a", {Over(3, UnitState::kDied)});
  EXPECT_EQ(TheJob().state, JobState::kFailed);
  EXPECT_NE(TheJob().note.find("why"), std::string::npos);
}

TEST_F(ControllerDecisions, ACheckpointMakesFailuresForgotten) {
  Run();
  Report("a", {Over(1, UnitState::kDied)});
  EXPECT_EQ(TheJob().failures, 1U);
  Report("a", {Offering(2, 1, "h")});
  EXPECT_EQ(TheJob().failures, 0U);
}

TEST_F(ControllerDecisions, AnUnfitWorkerIsAvoided) {
  Run();
  Report("b");
  Report("a", {Over(1, UnitState::kRefused)});
  EXPECT_EQ(state_.attempts.at(1).worker, "b");
}

TEST_F(ControllerDecisions, ExitCodesAreTheJobsAndRetriedByPolicy) {
  Run({.retries = 1});
  Report("a", {Over(1, UnitState::kEnded, 3)});
  EXPECT_EQ(TheJob().state, JobState::kQueued);
  now_ += seconds(2);
  Report("a");
  Report("a", {Over(2, UnitState::kEnded, 4)});
  EXPECT_EQ(TheJob().state, JobState::kEnded);
  EXPECT_EQ(TheJob().exit_code, 4);
}

TEST_F(ControllerDecisions, AResultIsAcceptedOnce) {
  Run();
  EXPECT_EQ(VerdictOn("a", Over(1, UnitState::kEnded)), Verdict::kForget);
  EXPECT_EQ(TheJob().state, JobState::kEnded);
  EXPECT_EQ(TheJob().result, "r");
  KeeperReport again = Over(1, UnitState::kEnded, 7);
  again.result = "other";
  EXPECT_EQ(VerdictOn("a", again), Verdict::kForget);
  EXPECT_EQ(TheJob().result, "r");
  EXPECT_EQ(TheJob().exit_code, 0);
}

TEST_F(ControllerDecisions, AResultOfAnOldEpochIsRefused) {
  Run();
  Report("b");
  now_ += seconds(7);
  Report("b");
  Tick(now_);
  ASSERT_EQ(TheJob().epoch, 2U);
  EXPECT_EQ(VerdictOn("a", Over(1, UnitState::kEnded)), Verdict::kForget);
  EXPECT_EQ(TheJob().state, JobState::kActive);
}

TEST_F(ControllerDecisions, ACheckpointIsAcceptedByJobEpochAndHash) {
  Run();
  const auto accepted = [&](const KeeperReport& keeper) {
    return Report("a", {keeper}).units.at(0).answers.at(0).accepted;
  };
  EXPECT_TRUE(accepted(Offering(1, 1, "h")));
  EXPECT_TRUE(accepted(Offering(1, 1, "h"))) << "the answer was lost";
  EXPECT_FALSE(accepted(Offering(1, 1, "other")));
  Report("a", {Over(1, UnitState::kDied)});
  EXPECT_FALSE(accepted(Offering(1, 2, "h"))) << "an old epoch";
  EXPECT_EQ(state_.checkpoints.at(1).size(), 1U);
}

TEST_F(ControllerDecisions, ADeadUnitsLastCheckpointCounts) {
  Run();
  KeeperReport dead = Over(1, UnitState::kDied);
  dead.offers = {{.number = 1, .manifest_hash = "h"}};
  const WorkerOrders orders = Report("a", {dead});
  ASSERT_EQ(orders.starts.size(), 1U);
  EXPECT_EQ(orders.starts[0].resume_from, (std::vector<CheckpointRef>{{.epoch = 1, .number = 1}}));
}

TEST_F(ControllerDecisions, ThreeCheckpointsAreKeptAndOfferedNewestFirst) {
  Run();
  for (uint64_t number = 1; number <= 4; ++number) Report("a", {Offering(1, number, "h")});
  const bool removed = std::ranges::any_of(decision_.actions, [](const ControllerAction& action) {
    const auto* removal = std::get_if<RemoveCheckpoint>(&action);
    return removal != nullptr && removal->job == 1 && removal->ref == CheckpointRef{.epoch = 1, .number = 1};
  });
  EXPECT_TRUE(removed);
  const WorkerOrders orders = Report("a", {Over(1, UnitState::kDied)});
  EXPECT_EQ(
      orders.starts.at(0).resume_from,
      (std::vector<CheckpointRef>{{.epoch = 1, .number = 4}, {.epoch = 1, .number = 3}, {.epoch = 1, .number = 2}}));
}

TEST_F(ControllerDecisions, ACheckpointFromWhichAllFailsIsLeftOut) {
  Run({.backoff = milliseconds(0)});
  Report("a", {Offering(1, 1, "h")});
  Report("a", {Offering(1, 2, "h")});
  Report("a", {Over(1, UnitState::kDied)});
  for (uint64_t epoch = 2; epoch <= 3; ++epoch) {
    EXPECT_EQ(Candidates(state_, TheJob()).front().number, 2U) << epoch;
    Report("a", {Over(epoch, UnitState::kDied)});
  }
  EXPECT_EQ(Candidates(state_, TheJob()).front().number, 1U);
}

TEST_F(ControllerDecisions, ABootEndsTheOldLeasesAtOnceAndIsNoFailure) {
  Run();
  boot_["a"] = "2";
  incarnation_["a"] = 1;
  const WorkerOrders orders = Report("a", {Over(1, UnitState::kDied)});
  EXPECT_EQ(orders.units.at(0).verdict, Verdict::kForget);
  EXPECT_EQ(TheJob().epoch, 2U);
  EXPECT_EQ(TheJob().failures, 0U);
}

TEST_F(ControllerDecisions, ReportsOlderThanTheNewestSayNothing) {
  Run();
  const uint64_t newest = sequence_["a"];
  sequence_["a"] = newest - 1;
  EXPECT_TRUE(Report("a").starts.empty()) << "it was sent before the unit was there";
  incarnation_["a"] = 1;
  Report("a", {Alive(1)});
  incarnation_["a"] = 0;
  boot_["a"] = "of before";
  Report("a", {Over(1, UnitState::kDied)});
  EXPECT_EQ(TheJob().epoch, 1U);
}

TEST_F(ControllerDecisions, WhatTheDatabaseNeverHeardOfIsNotKilled) {
  KeeperReport unknown = Alive(1);
  unknown.unit.job = 77;
  EXPECT_EQ(VerdictOn("a", unknown), Verdict::kNone);
  Run();
  EXPECT_EQ(VerdictOn("a", Alive(5)), Verdict::kNone);
  EXPECT_EQ(VerdictOn("b", Alive(1)), Verdict::kNone) << "assigned to another one";
}

TEST_F(ControllerDecisions, AHungKeeperIsKilledByItsLivingWorkerFirst) {
  Run();
  KeeperReport hung = Alive(1);
  hung.renew = false;
  now_ += seconds(7);
  Report("b");
  EXPECT_EQ(VerdictOn("a", hung), Verdict::kKill);
  Tick(now_);
  EXPECT_EQ(TheJob().epoch, 1U) << "it may run without a lease";
  Report("a", {Over(1, UnitState::kDied)});
  EXPECT_EQ(TheJob().epoch, 2U);
}

TEST_F(ControllerDecisions, AUnitThatIsBeingMadeMayTakeLongerThanALease) {
  Submit();
  Report("a");
  now_ += seconds(60);
  EXPECT_EQ(Report("a", {Silent(1, UnitState::kPreparing)}).units.at(0).verdict, Verdict::kNone);
  Tick(now_);
  EXPECT_EQ(TheJob().epoch, 1U);
  EXPECT_EQ(Report("a", {Alive(1)}).units.at(0).verdict, Verdict::kGrant);
  now_ += seconds(7);
  EXPECT_EQ(Report("a", {Silent(1, UnitState::kPreparing)}).units.at(0).verdict, Verdict::kKill) << "it ran already";
}

TEST_F(ControllerDecisions, AUnitThatIsNeverMadeIsKilled) {
  Submit();
  Report("a");
  now_ += hours(1);
  EXPECT_EQ(Report("a", {Silent(1, UnitState::kPreparing)}).units.at(0).verdict, Verdict::kKill);
}

TEST_F(ControllerDecisions, CancelOfAQueuedJob) {
  Submit();
  EXPECT_EQ(Ask(CancelAsked{.request = 1, .job = 1}).code, AnswerCode::kOk);
  EXPECT_EQ(TheJob().state, JobState::kCancelled);
  EXPECT_TRUE(Report("a").starts.empty());
  EXPECT_EQ(Ask(CancelAsked{.request = 1, .job = 1}).code, AnswerCode::kRefused);
  EXPECT_EQ(Ask(CancelAsked{.request = 1, .job = 2}).code, AnswerCode::kNotFound);
}

TEST_F(ControllerDecisions, CancelKillsTheUnitThenEndsTheJob) {
  Run();
  Ask(CancelAsked{.request = 1, .job = 1});
  EXPECT_EQ(VerdictOn("a", Alive(1)), Verdict::kKill);
  EXPECT_EQ(TheJob().state, JobState::kActive);
  Report("a", {Over(1, UnitState::kDied)});
  EXPECT_EQ(TheJob().state, JobState::kCancelled);
}

TEST_F(ControllerDecisions, AResultAfterACancelIsNotTaken) {
  Run();
  Ask(CancelAsked{.request = 1, .job = 1});
  Report("a", {Over(1, UnitState::kEnded)});
  EXPECT_EQ(TheJob().state, JobState::kCancelled);
  EXPECT_EQ(TheJob().result, "");
}

TEST_F(ControllerDecisions, CheckpointOnRequest) {
  Run();
  EXPECT_EQ(Ask(CheckpointAsked{.request = 1, .job = 1}).number, 1U);
  EXPECT_EQ(Report("a", {Alive(1)}).units.at(0).request, 1U);
  KeeperReport done = Alive(1);
  done.request_done = 1;
  EXPECT_EQ(Report("a", {done}).units.at(0).request, 0U);
  EXPECT_EQ(TheJob().request_done, 1U);
  Report("a", {Over(1, UnitState::kDied)});
  EXPECT_EQ(Report("a", {Alive(2)}).units.at(0).request, 0U) << "it was answered by the unit before";
}

TEST_F(ControllerDecisions, MoveStopsWithACheckpointAndGoesOnThere) {
  Run();
  Report("b");
  EXPECT_EQ(Ask(MoveAsked{.request = 1, .job = 1, .to = "b"}).code, AnswerCode::kOk);
  EXPECT_TRUE(Report("a", {Alive(1)}).units.at(0).stop);
  KeeperReport stopped = Offering(1, 1, "h");
  stopped.state = UnitState::kStopped;
  stopped.final_checkpoint = 1;
  stopped.request_done = 1;
  EXPECT_EQ(VerdictOn("a", stopped), Verdict::kKill);
  EXPECT_EQ(state_.attempts.at(1).worker, "b");
  EXPECT_EQ(Report("b").starts.at(0).resume_from.front(), (CheckpointRef{.epoch = 1, .number = 1}));
  EXPECT_FALSE(Report("b", {Alive(2)}).units.at(0).stop);
}

TEST_F(ControllerDecisions, AMoveWhoseCheckpointFailsIsNone) {
  Run();
  Report("b");
  Ask(MoveAsked{.request = 1, .job = 1, .to = {}});
  KeeperReport failed = Alive(1);
  failed.request_done = 1;
  failed.request_error = "disk full";
  const WorkerOrders orders = Report("a", {failed});
  EXPECT_FALSE(orders.units.at(0).stop);
  EXPECT_EQ(orders.units.at(0).verdict, Verdict::kGrant);
  EXPECT_EQ(FreeRoom(state_, "b").cpus_milli, 2'000) << "no room is kept any more";
}

TEST_F(ControllerDecisions, FailedCheckpointsAreSaidOnce) {
  Run();
  const auto lines = [this] {
    return std::ranges::count_if(decision_.changes, [](const Change& change) {
      const auto* line = std::get_if<HistoryLine>(&change);
      return line != nullptr && line->text == "checkpoint failed: disk full";
    });
  };
  KeeperReport failing = Alive(1);
  failing.checkpoint_error = "disk full";
  Report("a", {failing});
  EXPECT_EQ(lines(), 1);
  Report("a", {failing});
  EXPECT_EQ(lines(), 0);
  Report("a", {Alive(1)});
  Report("a", {failing});
  EXPECT_EQ(lines(), 1) << "one had gone well in between";
}

TEST_F(ControllerDecisions, AMoveIsRefusedWhereItCannotGo) {
  Run();
  EXPECT_EQ(Ask(MoveAsked{.request = 1, .job = 1, .to = {}}).code, AnswerCode::kRefused);
  EXPECT_EQ(Ask(MoveAsked{.request = 1, .job = 1, .to = "z"}).code, AnswerCode::kNotFound);
  EXPECT_EQ(Ask(MoveAsked{.request = 1, .job = 1, .to = "a"}).code, AnswerCode::kRefused);
  Report("b");
  Submit({.cpus_milli = 2'000, .memory_bytes = kGib});
  EXPECT_EQ(Ask(MoveAsked{.request = 1, .job = 1, .to = "b"}).code, AnswerCode::kRefused);
}

TEST_F(ControllerDecisions, AMoveKeepsItsRoom) {
  Run();
  Report("b");
  Ask(MoveAsked{.request = 1, .job = 1, .to = "b"});
  Submit({.cpus_milli = 2'000, .memory_bytes = kGib});
  EXPECT_EQ(state_.jobs.at(2).state, JobState::kQueued);
}

TEST_F(ControllerDecisions, ADrainedWorkerIsEmptiedAsSoonAsThereIsRoom) {
  Run();
  EXPECT_EQ(Ask(DrainAsked{.request = 1, .worker = "a"}).code, AnswerCode::kOk);
  EXPECT_FALSE(Report("a", {Alive(1)}).units.at(0).stop) << "nowhere to go yet";
  Report("b");
  EXPECT_TRUE(Report("a", {Alive(1)}).units.at(0).stop);
  Submit();
  EXPECT_EQ(state_.attempts.at(2).worker, "b");
  EXPECT_EQ(Ask(DrainAsked{.request = 1, .worker = "z"}).code, AnswerCode::kNotFound);
}

TEST_F(ControllerDecisions, AnOutdatedStopOfAMissingCheckpointIsAFailure) {
  Run();
  KeeperReport stopped = Alive(1, UnitState::kStopped);
  stopped.final_checkpoint = 4;
  EXPECT_EQ(VerdictOn("a", stopped), Verdict::kKill);
  EXPECT_EQ(TheJob().failures, 1U);
}

}  // namespace
}  // namespace baton::pool
