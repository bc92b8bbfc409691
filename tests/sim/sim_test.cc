// What issue and design promise of a pool, one scenario each, and thousands of random ones (BATON_SIM_ROUNDS, from seed
// BATON_SIM_SEED on).
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <string>

#include "world.h"

namespace baton::pool::sim {
namespace {

using std::chrono::seconds;

Job SmallJob(uint32_t cpus = 1) {
  Job job;
  job.name = "job";
  job.needs.cpus_milli = cpus * 1000;
  job.retry.max_failures = 100;
  return job;
}

std::string Story(const World& world) {
  std::string text;
  for (const std::string& line : world.history()) text += line + "\n";
  return text;
}

size_t WorkerOf(const World& world, uint64_t job) { return std::stoul(world.AttemptRow(job).worker.substr(1)); }

class PoolSim : public testing::Test {
 protected:
  // One job on one of the machines, which has run for some 10 s and made a checkpoint each 2 s.
  void Begin(size_t machines, uint32_t cpus = 2) {
    world_.emplace(World::Options{.seed = 7, .machines = machines, .cpus = cpus, .rows_are_checked = true});
    world_->RunFor(seconds(2));
    job_ = world_->Submit(SmallJob(), seconds(60), seconds(2));
    world_->RunFor(seconds(12));
    ASSERT_EQ(world_->UnitsRunning(job_), 1U);
    on_ = WorkerOf(*world_, job_);
  }
  void EndsWell(uint64_t epochs) {
    EXPECT_TRUE(world_->RunUntilDone(seconds(200))) << world_->failure() << "\n" << Story(*world_);
    EXPECT_EQ(world_->JobRow(job_).state, JobState::kEnded) << Story(*world_);
    EXPECT_EQ(world_->JobRow(job_).epoch, epochs) << Story(*world_);
  }

  std::optional<World> world_;
  uint64_t job_ = 0;
  size_t on_ = 0;
};

TEST_F(PoolSim, UndisturbedJobsEnd) {
  Begin(3);
  EndsWell(1);
  EXPECT_LT(world_->now(), 68 * kSecond) << "nothing held it up";
  EXPECT_EQ(world_->AttemptRow(job_).frozen, Span(0));
}

TEST_F(PoolSim, ControllerAwayForAMinutePausesTheUnitsAndLosesNone) {
  Begin(3);
  world_->KillController();
  world_->RunFor(seconds(8));
  EXPECT_EQ(world_->UnitsRunning(job_), 0U);
  world_->RunFor(seconds(52));
  world_->StartController();
  world_->RunFor(seconds(3));
  EXPECT_EQ(world_->UnitsRunning(job_), 1U);
  EndsWell(1);
}

TEST_F(PoolSim, WorkerCutOffWithNoOtherFreeGoesOnThere) {
  Begin(1);
  world_->CutOff(on_, true);
  world_->RunFor(seconds(7));
  EXPECT_EQ(world_->UnitsRunning(job_), 0U);
  world_->RunFor(seconds(53));
  world_->CutOff(on_, false);
  world_->RunFor(seconds(3));
  EXPECT_EQ(world_->UnitsRunning(job_), 1U);
  EndsWell(1);
}

TEST_F(PoolSim, WorkerCutOffWithAnotherFreeLosesTheJobToItAndTheOldUnitIsKilled) {
  Begin(2);
  world_->CutOff(on_, true);
  world_->RunFor(seconds(15));
  EXPECT_EQ(world_->UnitsRunning(job_), 1U);
  EXPECT_NE(WorkerOf(*world_, job_), on_);
  world_->RunFor(seconds(45));
  world_->CutOff(on_, false);
  EndsWell(2);
}

TEST_F(PoolSim, WorkerDaemonAwayForAMinuteChangesNothing) {
  Begin(2);
  world_->KillWorker(on_);
  for (int i = 0; i < 60; ++i) {
    world_->RunFor(seconds(1));
    // A checkpoint of 80 ms may be going on just now, but no freeze.
    EXPECT_EQ(world_->AttemptRow(job_).frozen, Span(0));
  }
  world_->StartWorker(on_);
  EndsWell(1);
  EXPECT_EQ(world_->AttemptRow(job_).frozen, Span(0)) << Story(*world_);
}

TEST_F(PoolSim, JobEndsWhileItsWorkerDaemonIsAway) {
  Begin(2);
  world_->RunFor(seconds(40));
  world_->KillWorker(on_);
  world_->RunFor(seconds(60));
  EXPECT_EQ(world_->JobRow(job_).state, JobState::kEnded);
  world_->StartWorker(on_);
  EndsWell(1);
}

TEST_F(PoolSim, WorkerThatHangsChangesNothing) {
  Begin(2);
  world_->PauseWorker(on_, world_->now() + 30 * kSecond);
  EndsWell(1);
  EXPECT_EQ(world_->AttemptRow(job_).frozen, Span(0)) << Story(*world_);
}

TEST_F(PoolSim, DeadKeeperIsReplacedWithoutWaitingForItsLease) {
  Begin(2);
  const TimeUs killed_at = world_->now();
  ASSERT_TRUE(world_->KillKeeper(0));
  world_->RunFor(seconds(10));
  // 0.2 s to die, 1 s until the worker asks again, 3 s to restore.
  EXPECT_LT(world_->last_start(job_) - killed_at, 4500 * kMs) << Story(*world_);
  EndsWell(2);
}

TEST_F(PoolSim, PowerCutIsOverWithinFifteenSeconds) {
  Begin(3);
  const TimeUs killed_at = world_->now();
  world_->KillMachine(on_);
  world_->RunFor(seconds(20));
  EXPECT_LT(world_->last_start(job_) - killed_at, 12 * kSecond) << Story(*world_);
  world_->BootMachine(on_);
  EndsWell(2);
}

TEST_F(PoolSim, RebootEndsTheOldLeasesAtOnce) {
  Begin(1);
  const TimeUs killed_at = world_->now();
  world_->KillMachine(on_);
  world_->RunFor(seconds(1));
  world_->BootMachine(on_);
  world_->RunFor(seconds(10));
  EXPECT_LT(world_->last_start(job_) - killed_at, 5 * kSecond) << Story(*world_);
  EndsWell(2);
}

TEST_F(PoolSim, HungKeeperIsKilledByItsWorkerAndTheJobGoesOn) {
  Begin(1);
  ASSERT_TRUE(world_->PauseKeeper(0, world_->now() + 1000 * kSecond));
  world_->RunFor(seconds(15));
  EXPECT_EQ(world_->UnitsRunning(job_), 1U);
  EndsWell(2);
}

// A writer that stood still just before it offered its checkpoint, while the job went elsewhere.
TEST_F(PoolSim, LateCheckpointOfAnOldEpochIsNeverChosen) {
  Begin(2);
  world_->CutOff(on_, true);
  ASSERT_TRUE(world_->PauseKeeper(0, world_->now() + 25 * kSecond));
  world_->RunFor(seconds(20));
  EXPECT_NE(WorkerOf(*world_, job_), on_);
  world_->CutOff(on_, false);
  EndsWell(2);
}

TEST_F(PoolSim, MoveGoesThroughACheckpointAndLosesNothing) {
  Begin(2);
  world_->Ask(MoveAsked{.request = 1, .job = job_, .to = {}});
  world_->RunFor(seconds(15));
  EXPECT_NE(WorkerOf(*world_, job_), on_);
  EXPECT_EQ(world_->Attempts(job_).at(1).end, AttemptEnd::kMoved);
  EndsWell(2);
  // 60 s of work, 2 s until the start, and what checkpoints and the move take.
  EXPECT_LT(world_->now(), 80 * kSecond);
}

TEST_F(PoolSim, DrainedWorkerIsEmptiedAndTakesNoJobs) {
  Begin(2);
  world_->Ask(DrainAsked{.request = 1, .worker = World::WorkerName(on_), .drain = true});
  world_->RunFor(seconds(15));
  EXPECT_NE(WorkerOf(*world_, job_), on_);
  world_->Submit(SmallJob(2), seconds(5), seconds(2));
  world_->RunFor(seconds(20));
  EXPECT_EQ(world_->JobRow(2).state, JobState::kQueued) << "only the drained one has room";
  world_->Ask(DrainAsked{.request = 1, .worker = World::WorkerName(on_), .drain = false});
  EndsWell(2);
  EXPECT_EQ(world_->JobRow(2).state, JobState::kEnded);
}

TEST_F(PoolSim, CancelEndsTheUnitFirst) {
  Begin(2);
  world_->Ask(CancelAsked{.request = 1, .job = job_});
  EXPECT_TRUE(world_->RunUntilDone(seconds(5))) << world_->failure();
  EXPECT_EQ(world_->JobRow(job_).state, JobState::kCancelled);
}

TEST_F(PoolSim, CancelOfAJobOnASilentWorkerWaitsForItsLease) {
  Begin(2);
  world_->CutOff(on_, true);
  world_->Ask(CancelAsked{.request = 1, .job = job_});
  world_->RunFor(seconds(5));
  EXPECT_EQ(world_->JobRow(job_).state, JobState::kActive);
  world_->RunFor(seconds(5));
  EXPECT_EQ(world_->JobRow(job_).state, JobState::kCancelled);
  world_->CutOff(on_, false);
  EXPECT_TRUE(world_->RunUntilDone(seconds(10))) << world_->failure();
}

// Half of a pool behind one switch: not all its jobs are started elsewhere in one second, and none in the first ten.
TEST_F(PoolSim, MassSilenceIsLookedAtTwice) {
  world_.emplace(World::Options{.seed = 3, .machines = 8, .cpus = 4});
  world_->RunFor(seconds(2));
  for (int i = 0; i < 8; ++i) world_->Submit(SmallJob(2), seconds(200), seconds(5));
  world_->RunFor(seconds(20));
  for (size_t i = 0; i < 4; ++i) world_->CutOff(i, true);
  world_->RunFor(seconds(14));
  for (uint64_t job = 1; job <= 8; ++job) EXPECT_EQ(world_->JobRow(job).epoch, 1U);
  for (size_t i = 0; i < 4; ++i) world_->CutOff(i, false);
  EXPECT_TRUE(world_->RunUntilDone(seconds(300))) << world_->failure() << Story(*world_);
  for (uint64_t job = 1; job <= 8; ++job) EXPECT_EQ(world_->JobRow(job).epoch, 1U) << Story(*world_);
}

// Random schedules: everything breaks for a minute, then nothing does any more, and all must end.

struct Plan {
  uint64_t seed;
  bool pauses;
};

class Chaos {
 public:
  explicit Chaos(const Plan& plan)
      : plan_(plan),
        world_({.seed = plan.seed,
                .machines = 2 + plan.seed % 4,
                .cpus = 2,
                .clock_error = 0.02,
                .failing = 0.05,
                .crash_at_commit = plan.seed % 3 == 0 ? 0.03 : 0.002,
                .rows_are_checked = plan.seed % 8 == 0}) {}

  World& world() { return world_; }

  bool Run() {
    for (int i = 0; i < 4; ++i) {
      world_.Submit(SmallJob(), seconds(world_.Between(5, 30)), seconds(world_.Between(1, 6)));
      if (!world_.ControllerIsUp()) world_.StartController();
    }
    if (world_.Chance(0.7)) world_.SetNetwork({.loss = 0.1, .repeat = 0.1, .late = 0.2, .late_by = 12 * kSecond});
    while (world_.now() < 60 * kSecond && world_.failure().empty()) {
      world_.RunFor(Span(world_.Between(50, 6'000)));
      Break();
    }
    Heal();
    return world_.RunUntilDone(seconds(600));
  }

 private:
  size_t AnyMachine() { return static_cast<size_t>(world_.Between(0, static_cast<TimeUs>(plan_.seed % 4) + 1)); }
  TimeUs Soon() { return world_.now() + world_.Between(0, world_.Chance(0.5) ? 3 * kSecond : 30 * kSecond); }
  size_t Any() { return static_cast<size_t>(world_.Between(0, 1000)); }

  void Break() {
    switch (world_.Between(0, plan_.pauses ? 13 : 10)) {
      case 0:
      case 1:
        world_.KillController();
        return world_.At(Soon(), [this] { world_.StartController(); });
      case 2:
      case 3:
        return BreakWorker(AnyMachine());
      case 4:
        return BreakMachine(AnyMachine());
      case 5:
      case 6:
        return CutOff(AnyMachine());
      case 7:
        world_.KillKeeper(Any());
        return;
      case 8:
      case 9:
      case 10:
        return AskSomething();
      case 11:
        world_.PauseController(Soon());
        return;
      case 12:
        return world_.PauseWorker(AnyMachine(), Soon());
      default:
        world_.PauseKeeper(Any(), Soon());
    }
  }

  void BreakWorker(size_t machine) {
    world_.KillWorker(machine);
    world_.At(Soon(), [this, machine] { world_.StartWorker(machine); });
  }
  void BreakMachine(size_t machine) {
    world_.KillMachine(machine);
    world_.At(Soon(), [this, machine] { world_.BootMachine(machine); });
  }
  void CutOff(size_t machine) {
    world_.CutOff(machine, world_.Chance(0.8), world_.Chance(0.7));
    world_.At(Soon(), [this, machine] { world_.CutOff(machine, false); });
  }

  void AskSomething() {
    const auto job = static_cast<uint64_t>(world_.Between(1, 4));
    switch (world_.Between(0, 5)) {
      case 0:
        if (world_.Chance(0.2)) world_.Ask(CancelAsked{.request = 1, .job = job});
        return;
      case 1:
        return world_.Ask(CheckpointAsked{.request = 1, .job = job});
      case 2:
      case 3:
        return world_.Ask(MoveAsked{.request = 1, .job = job, .to = {}});
      default:
        world_.Ask(DrainAsked{.request = 1, .worker = World::WorkerName(AnyMachine()), .drain = world_.Chance(0.5)});
    }
  }

  void Heal() {
    world_.SetNetwork({});
    world_.NoMoreCrashes();
    world_.PauseController(0);
    world_.StartController();
    for (size_t i = 0; i < 2 + plan_.seed % 4; ++i) {
      world_.CutOff(i, false);
      world_.BootMachine(i);
      world_.StartWorker(i);
      world_.PauseWorker(i, 0);
    }
    world_.RunFor(seconds(31));
    for (size_t i = 0; i < 2 + plan_.seed % 4; ++i) {
      world_.Ask(DrainAsked{.request = 1, .worker = World::WorkerName(i), .drain = false});
    }
  }

  Plan plan_;
  World world_;
};

uint64_t FromEnvironment(const char* name, uint64_t otherwise) {
  const char* const text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

void RunChaos(bool pauses, uint64_t rounds) {
  const uint64_t first = FromEnvironment("BATON_SIM_SEED", 1);
  rounds = FromEnvironment("BATON_SIM_ROUNDS", rounds);
  for (uint64_t seed = first; seed < first + rounds; ++seed) {
    Chaos chaos({.seed = seed, .pauses = pauses});
    const bool ended = chaos.Run();
    ASSERT_TRUE(ended) << "BATON_SIM_SEED=" << seed << " BATON_SIM_ROUNDS=1: "
                       << (chaos.world().failure().empty() ? "not all jobs ended" : chaos.world().failure()) << "\n"
                       << Story(chaos.world());
  }
}

TEST(PoolChaos, KillsAndBadNetworks) { RunChaos(false, 700); }
TEST(PoolChaos, AndProgramsThatStandStill) { RunChaos(true, 700); }

}  // namespace
}  // namespace baton::pool::sim
