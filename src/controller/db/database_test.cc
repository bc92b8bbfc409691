#include <fcntl.h>
#include <gtest/gtest.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdint>
#include <fstream>
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "base/test_dir.h"
#include "controller/db/migrations.h"
#include "controller/db/sqlite_database.h"
#include "pool/decide/controller.h"

namespace baton {
namespace {

using pool::Attempt;
using pool::Change;
using pool::Checkpoint;
using pool::CheckpointRef;
using pool::HistoryLine;
using pool::Instant;
using pool::Job;
using pool::KeeperReport;
using pool::Span;
using pool::UnitState;
using pool::Worker;
using pool::WorkerReport;

constexpr int64_t kWall = 1'700'000'000'000;

// What the rows of many changes come to.
struct Rows {
  std::map<uint64_t, Job> jobs;
  std::map<uint64_t, Attempt> attempts;  // the newest of each job
  std::map<std::tuple<uint64_t, CheckpointRef>, Checkpoint> checkpoints;
  std::map<std::string, Worker> workers;

  void Apply(const std::vector<Change>& changes) {
    for (const Change& change : changes) std::visit([this](const auto& row) { Put(row); }, change);
  }
  bool operator==(const Rows&) const = default;

 private:
  void Put(const Job& job) { jobs[job.id] = job; }
  void Put(const Attempt& attempt) { attempts[attempt.unit.job] = attempt; }
  void Put(const Checkpoint& checkpoint) {
    if (checkpoint.dropped) {
      checkpoints.erase({checkpoint.job, checkpoint.ref});
    } else {
      checkpoints[{checkpoint.job, checkpoint.ref}] = checkpoint;
    }
  }
  void Put(const Worker& worker) { workers[worker.id] = worker; }
  void Put(const HistoryLine&) {}
};

class TempFile {
 public:
  std::string path() const { return directory_ / "pool.db"; }

 private:
  TestDir directory_;
};

Result<Rows> LoadRows(const std::string& path, const char* vfs = nullptr) {
  BATON_TRY(const auto database, OpenSqliteDatabase(path, vfs));
  BATON_TRY(const auto changes, database->Load());
  Rows rows;
  rows.Apply(changes);
  return rows;
}

Job FullJob() {
  Job job{.id = 5, .name = "n", .needs = {.cpus_milli = 1500, .memory_bytes = uint64_t{1} << 40}};
  job.retry = {.retries = 2, .max_failures = 3, .backoff = Span(4), .backoff_max = Span(5)};
  job.spec = std::string("a\0b\xff", 4);
  job.state = pool::JobState::kActive;
  job.epoch = 6;
  job.cancel_wanted = true;
  job.move_wanted = true;
  job.move_to = "w";
  job.request = 7;
  job.request_done = 8;
  job.request_error = "e";
  job.retries_used = 9;
  job.failures = 10;
  job.stuck = 11;
  job.resume_below = CheckpointRef{.epoch = 12, .number = 13};
  job.exit_code = 14;
  job.result = "r";
  job.result_epoch = 15;
  job.note = "o'clock";
  return job;
}

std::vector<Change> OneOfEach() {
  return {FullJob(),
          Attempt{.unit = {.job = 5, .epoch = 6},
                  .worker = "w",
                  .boot_id = "b",
                  .state = pool::AttemptState::kOver,
                  .end = pool::AttemptEnd::kMoved,
                  .resumed_from = CheckpointRef{.epoch = 1, .number = 2},
                  .exit_code = 3,
                  .detail = "d",
                  .frozen = Span(4)},
          Checkpoint{.job = 5,
                     .ref = {.epoch = 6, .number = 1},
                     .manifest_hash = "h",
                     .bytes = 2,
                     .pause = Span(3),
                     .total = Span(4)},
          Worker{.id = "w", .incarnation = 2, .boot_id = "b", .draining = true},
          HistoryLine{.job = 5, .epoch = 6, .worker = "w", .text = "ran"}};
}

TEST(SqliteDatabase, EveryFieldComesBack) {
  const TempFile file;
  Rows expected;
  expected.Apply(OneOfEach());
  std::string pool_id;
  {
    const auto database = OpenSqliteDatabase(file.path());
    ASSERT_TRUE(database) << database.error().ToString();
    pool_id = (*database)->pool_id();
    ASSERT_TRUE((*database)->Commit(OneOfEach(), kWall));
  }
  const auto rows = LoadRows(file.path());
  ASSERT_TRUE(rows) << rows.error().ToString();
  EXPECT_EQ(*rows, expected);
  EXPECT_EQ(pool_id.size(), 32U);
  EXPECT_EQ((*OpenSqliteDatabase(file.path()))->pool_id(), pool_id);
}

TEST(SqliteDatabase, RowsAreReplacedAndKeepTheTimeOfTheirBeginning) {
  const TempFile file;
  const auto database = *OpenSqliteDatabase(file.path());
  ASSERT_TRUE(database->Commit(OneOfEach(), kWall));
  Job job = FullJob();
  job.note = "later";
  job.resume_below.reset();
  ASSERT_TRUE(database->Commit({job}, kWall + 9));
  EXPECT_EQ(database->JobTimes(5)->created_ms, kWall);
  EXPECT_EQ(database->JobTimes(5)->changed_ms, kWall + 9);
  EXPECT_EQ(LoadRows(file.path())->jobs.at(5), job);
}

TEST(SqliteDatabase, AllOfACommitOrNothing) {
  const TempFile file;
  const auto database = *OpenSqliteDatabase(file.path());
  // An attempt of a job that is not there is refused.
  std::vector<Change> changes = {FullJob(), Attempt{.unit = {.job = 99, .epoch = 1}}};
  EXPECT_FALSE(database->Commit(changes, kWall));
  EXPECT_TRUE(LoadRows(file.path())->jobs.empty());
  EXPECT_TRUE(database->Commit({FullJob()}, kWall)) << "and it can be used further";
}

TEST(SqliteDatabase, HistoryAndOldAttemptsAreForPeople) {
  const TempFile file;
  const auto database = *OpenSqliteDatabase(file.path());
  ASSERT_TRUE(database->Commit(OneOfEach(), kWall));
  ASSERT_TRUE(database->Commit({Attempt{.unit = {.job = 5, .epoch = 7}, .worker = "v"},
                                HistoryLine{.job = 5, .epoch = 7, .text = "again"}, HistoryLine{.text = "other"}},
                               kWall + 1));
  EXPECT_EQ(database->Attempts(5)->size(), 2U);
  EXPECT_EQ(LoadRows(file.path())->attempts.at(5).unit.epoch, 7U) << "the newest is loaded";
  ASSERT_EQ(database->History(5, 10)->size(), 2U);
  EXPECT_EQ(database->History(5, 1)->at(0).line.text, "again");
  EXPECT_EQ(database->History(0, 10)->size(), 3U);
  EXPECT_EQ(database->Checkpoints(5)->at(0).created_ms, kWall);
}

TEST(SqliteDatabase, IsItsOwnersOnly) {
  const TempFile file;
  ASSERT_TRUE(OpenSqliteDatabase(file.path()));
  struct stat status{};
  ASSERT_EQ(stat(file.path().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600U);
}

TEST(SqliteDatabase, DamageIsSaid) {
  const TempFile file;
  std::ofstream(file.path()) << "this is no database, and never was one";
  const auto database = OpenSqliteDatabase(file.path());
  ASSERT_FALSE(database);
  EXPECT_EQ(database.error().code(), ErrorCode::kCorrupt);
}

TEST(SqliteDatabase, ANewerSchemaIsLeftAlone) {
  const TempFile file;
  ASSERT_TRUE(OpenSqliteDatabase(file.path()));
  sqlite3* raw = nullptr;
  ASSERT_EQ(sqlite3_open(file.path().c_str(), &raw), SQLITE_OK);
  sqlite3_exec(raw, "PRAGMA user_version = 999", nullptr, nullptr, nullptr);
  sqlite3_close(raw);
  const auto database = OpenSqliteDatabase(file.path());
  ASSERT_FALSE(database);
  EXPECT_EQ(database.error().code(), ErrorCode::kNotSupported);
}

TEST(SqliteDatabase, MigrationsAreNumbered) {
  ASSERT_FALSE(Migrations().empty());
  EXPECT_EQ(std::string(Migrations()[0].name), "0001_first");
}

// A layer below SQLite at which the process kills itself at its n-th write (write, sync, truncation or removal) of a
// file. Source: https://sqlite.org/vfs.html.
struct Dying {
  uint64_t die_at = 0;  // 0: never
  bool half = false;    // the write that it dies at is made to its half
  uint64_t seen = 0;
  sqlite3_vfs* below = nullptr;
  std::map<const sqlite3_io_methods*, const sqlite3_io_methods*> originals;  // by ours
  std::map<const sqlite3_io_methods*, sqlite3_io_methods> ours;              // by original
};
Dying& TheDying() {
  static Dying dying;
  return dying;
}

bool DiesHere() { return ++TheDying().seen == TheDying().die_at; }
[[noreturn]] void Die() {
  raise(SIGKILL);
  abort();
}
const sqlite3_io_methods* Original(sqlite3_file* file) { return TheDying().originals.at(file->pMethods); }

int DyingWrite(sqlite3_file* file, const void* bytes, int size, sqlite3_int64 offset) {
  if (DiesHere()) {
    if (TheDying().half) Original(file)->xWrite(file, bytes, size / 2, offset);
    Die();
  }
  return Original(file)->xWrite(file, bytes, size, offset);
}
// A process that dies loses nothing that it has written, so there is no need to wait for the disk.
int DyingSync(sqlite3_file*, int) {
  if (DiesHere()) Die();
  return SQLITE_OK;
}
int DyingTruncate(sqlite3_file* file, sqlite3_int64 size) {
  if (DiesHere()) Die();
  return Original(file)->xTruncate(file, size);
}
int DyingDelete(sqlite3_vfs*, const char* name, int sync) {
  if (DiesHere()) Die();
  return TheDying().below->xDelete(TheDying().below, name, sync);
}
int DyingOpen(sqlite3_vfs*, const char* name, sqlite3_file* file, int flags, int* out_flags) {
  Dying& dying = TheDying();
  const int code = dying.below->xOpen(dying.below, name, file, flags, out_flags);
  if (code != SQLITE_OK || file->pMethods == nullptr) return code;
  auto [found, is_new] = dying.ours.try_emplace(file->pMethods, *file->pMethods);
  found->second.xWrite = DyingWrite;
  found->second.xSync = DyingSync;
  found->second.xTruncate = DyingTruncate;
  dying.originals[&found->second] = file->pMethods;
  file->pMethods = &found->second;
  return code;
}

void ArmDyingVfs(uint64_t die_at, bool half) {
  Dying& dying = TheDying();
  dying.seen = 0;
  dying.die_at = die_at;
  dying.half = half;
  dying.below = sqlite3_vfs_find(nullptr);
  static sqlite3_vfs vfs = *dying.below;
  vfs.zName = "dying";
  vfs.xOpen = DyingOpen;
  vfs.xDelete = DyingDelete;
  sqlite3_vfs_register(&vfs, 0);
}

// What a small pool goes through: jobs come, run, make checkpoints, fail over, are moved, cancelled and end.
class Script {
 public:
  // Changes of one decision after the other.
  std::vector<std::vector<Change>> Play() {
    for (int i = 0; i < 4; ++i) {
      Job job;
      job.name = "job";
      job.spec = std::string(300, 'x');
      On(pool::SubmitAsked{.request = 1, .job = job});
    }
    for (uint64_t round = 1; round <= 25; ++round) {
      now_ += std::chrono::seconds(1);
      if (round != 9) Report("a");
      if (round == 9) now_ += std::chrono::seconds(8);
      Report("b");
      On(pool::ControllerTick{});
      if (round == 5) On(pool::CancelAsked{.request = 1, .job = 2});
      if (round == 7) On(pool::MoveAsked{.request = 1, .job = 1, .to = {}});
      if (round == 12) On(pool::DrainAsked{.request = 1, .worker = "a"});
    }
    return std::move(decisions_);
  }

 private:
  void On(const pool::ControllerEvent& event) {
    auto decision = pool::Decide(state_, event, now_);
    if (!decision.changes.empty()) decisions_.push_back(std::move(decision.changes));
  }
  // All that is assigned runs, and offers a checkpoint each time; now and then one is killed.
  void Report(const std::string& worker) {
    WorkerReport report{.worker = worker, .incarnation = 1, .sequence = ++sequence_};
    report.capacity = {.cpus_milli = 4'000, .memory_bytes = uint64_t{16} << 30};
    for (const auto& [job, attempt] : state_.attempts) {
      if (attempt.worker != worker || attempt.state == pool::AttemptState::kOver) continue;
      KeeperReport keeper{.unit = attempt.unit, .state = UnitState::kRunning, .renew = true};
      keeper.offers = {{.number = sequence_, .manifest_hash = "h"}};
      if ((sequence_ + job) % 7 == 0) keeper.state = UnitState::kDied;
      if (sequence_ > 40) keeper.state = UnitState::kEnded;
      report.keepers.push_back(keeper);
    }
    On(pool::ReportCame{.request = 1, .report = report});
  }

  Instant now_{0};
  uint64_t sequence_ = 0;
  pool::ControllerState state_ = pool::RecoverController({}, {}, {}, Instant(0));
  std::vector<std::vector<Change>> decisions_;
};

// In a process of its own: commits one decision after the other, and says so after each.
[[noreturn]] void CommitAll(const std::string& path, const std::vector<std::vector<Change>>& decisions, int told) {
  auto database = OpenSqliteDatabase(path, "dying");
  if (!database) _exit(1);
  for (const auto& changes : decisions) {
    if (!(*database)->Commit(changes, kWall)) _exit(2);
    if (write(told, "x", 1) != 1) _exit(3);
  }
  // Moves the log into the database.
  database->reset();
  _exit(0);
}

struct Death {
  bool died = false;
  size_t told = 0;  // commits whose actions would have been carried out
};

Death DieAt(const std::string& path, uint64_t n, bool half, const std::vector<std::vector<Change>>& decisions) {
  int ends[2] = {-1, -1};
  EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0);
  const pid_t child = fork();
  if (child == 0) {
    ArmDyingVfs(n, half);
    CommitAll(path, decisions, ends[1]);
  }
  close(ends[1]);
  Death death;
  char byte = 0;
  while (read(ends[0], &byte, 1) == 1) ++death.told;
  close(ends[0]);
  int status = 0;
  waitpid(child, &status, 0);
  death.died = WIFSIGNALED(status);
  EXPECT_TRUE(death.died || (WIFEXITED(status) && WEXITSTATUS(status) == 0)) << "exit code " << WEXITSTATUS(status);
  return death;
}

// Killed at each write in turn: what was told is there, and the decision under way is there as a whole or not at all.
void DieEverywhere(bool half) {
  const auto decisions = Script().Play();
  ASSERT_GT(decisions.size(), 30U);
  std::vector<Rows> after(decisions.size() + 1);
  for (size_t i = 0; i < decisions.size(); ++i) {
    after[i + 1] = after[i];
    after[i + 1].Apply(decisions[i]);
  }
  uint64_t n = 1;
  for (bool died = true; died; ++n) {
    const TempFile file;
    const Death death = DieAt(file.path(), n, half, decisions);
    died = death.died;
    ArmDyingVfs(0, false);
    const auto rows = LoadRows(file.path(), "dying");
    ASSERT_TRUE(rows) << "write " << n << ": " << rows.error().ToString();
    const bool as_told = *rows == after[death.told];
    const bool one_more = death.told < decisions.size() && *rows == after[death.told + 1];
    ASSERT_TRUE(as_told || one_more) << "write " << n << ", after " << death.told << " commits";
  }
  EXPECT_GT(n, 150U) << "each commit is a few writes";
}

TEST(KilledController, AtEachWriteLosesNothing) { DieEverywhere(false); }
TEST(KilledController, InTheMiddleOfEachWriteLosesNothing) { DieEverywhere(true); }

}  // namespace
}  // namespace baton
