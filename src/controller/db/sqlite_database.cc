#include "controller/db/sqlite_database.h"

#include <sys/random.h>

#include <array>
#include <cerrno>
#include <utility>

#include "base/fault.h"
#include "controller/db/migrations.h"
#include "controller/db/sqlite_handle.h"

namespace baton {
namespace {

using pool::Attempt;
using pool::AttemptEnd;
using pool::AttemptState;
using pool::Change;
using pool::Checkpoint;
using pool::CheckpointRef;
using pool::Job;
using pool::JobState;
using pool::Span;
using pool::Worker;

Result<std::string> RandomId() {
  std::array<unsigned char, 16> bytes{};
  const ssize_t got = getrandom(bytes.data(), bytes.size(), 0);
  if (const int error = errno; got != static_cast<ssize_t>(bytes.size())) return ErrnoError(error, "getrandom");
  std::string text;
  for (const unsigned char byte : bytes) text += fmt::format("{:02x}", byte);
  return text;
}

std::optional<uint64_t> EpochOf(const std::optional<CheckpointRef>& ref) {
  return ref ? std::optional(ref->epoch) : std::nullopt;
}
std::optional<uint64_t> NumberOf(const std::optional<CheckpointRef>& ref) {
  return ref ? std::optional(ref->number) : std::nullopt;
}
std::optional<CheckpointRef> RefAt(const Statement& row, int column) {
  if (row.IsNull(column)) return std::nullopt;
  return CheckpointRef{.epoch = row.As<uint64_t>(column), .number = row.As<uint64_t>(column + 1)};
}

constexpr const char* kJobColumns =
    "id, name, cpus_milli, memory_bytes, retries, max_failures, backoff_ms, backoff_max_ms, spec, state, epoch, "
    "cancel_wanted, move_wanted, move_to, request, request_done, request_error, retries_used, failures, stuck, "
    "resume_below_epoch, resume_below_number, exit_code, result, result_epoch, note";

Job ReadJob(const Statement& row) {
  int c = 0;
  Job job{.id = row.As<uint64_t>(c)};
  job.name = row.Text(++c);
  job.needs.cpus_milli = row.As<uint32_t>(++c);
  job.needs.memory_bytes = row.As<uint64_t>(++c);
  job.retry.retries = row.As<uint32_t>(++c);
  job.retry.max_failures = row.As<uint32_t>(++c);
  job.retry.backoff = Span(row.Integer(++c));
  job.retry.backoff_max = Span(row.Integer(++c));
  job.spec = row.Text(++c);
  job.state = row.As<JobState>(++c);
  job.epoch = row.As<uint64_t>(++c);
  job.cancel_wanted = row.As<bool>(++c);
  job.move_wanted = row.As<bool>(++c);
  job.move_to = row.Text(++c);
  job.request = row.As<uint64_t>(++c);
  job.request_done = row.As<uint64_t>(++c);
  job.request_error = row.Text(++c);
  job.retries_used = row.As<uint32_t>(++c);
  job.failures = row.As<uint32_t>(++c);
  job.stuck = row.As<uint32_t>(++c);
  job.resume_below = RefAt(row, ++c);
  ++c;
  job.exit_code = row.As<int>(++c);
  job.result = row.Text(++c);
  job.result_epoch = row.As<uint64_t>(++c);
  job.note = row.Text(++c);
  return job;
}

constexpr const char* kAttemptColumns =
    "job, epoch, worker, boot_id, state, end, resumed_epoch, resumed_number, exit_code, detail, frozen_ms";

Attempt ReadAttempt(const Statement& row) {
  return {.unit = {.job = row.As<uint64_t>(0), .epoch = row.As<uint64_t>(1)},
          .worker = row.Text(2),
          .boot_id = row.Text(3),
          .state = row.As<AttemptState>(4),
          .end = row.As<AttemptEnd>(5),
          .resumed_from = RefAt(row, 6),
          .exit_code = row.As<int>(8),
          .detail = row.Text(9),
          .frozen = Span(row.Integer(10))};
}

constexpr const char* kCheckpointColumns = "job, epoch, number, manifest_hash, bytes, pause_ms, total_ms, dropped";

Checkpoint ReadCheckpoint(const Statement& row) {
  return {.job = row.As<uint64_t>(0),
          .ref = {.epoch = row.As<uint64_t>(1), .number = row.As<uint64_t>(2)},
          .manifest_hash = row.Text(3),
          .bytes = row.As<uint64_t>(4),
          .pause = Span(row.Integer(5)),
          .total = Span(row.Integer(6)),
          .dropped = row.As<bool>(7)};
}

// One row of any kind into its table; what is there of it is replaced, but for the time at which it came to be.
class Writer {
 public:
  Writer(SqliteHandle* handle, int64_t wall_ms) : handle_(*handle), wall_ms_(wall_ms) {}

  Result<> operator()(const Job& job) {
    static const std::string kSql = fmt::format(
        "INSERT INTO jobs ({}, created_ms, changed_ms) VALUES "
        "(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17,?18,?19,?20,?21,?22,?23,?24,?25,?26,?27,?27) "
        "ON CONFLICT (id) DO UPDATE SET ({}, changed_ms) = "
        "(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17,?18,?19,?20,?21,?22,?23,?24,?25,?26,?27)",
        kJobColumns, kJobColumns);
    return handle_.Run(kSql, job.id, job.name, job.needs.cpus_milli, job.needs.memory_bytes, job.retry.retries,
                       job.retry.max_failures, job.retry.backoff.count(), job.retry.backoff_max.count(), job.spec,
                       job.state, job.epoch, job.cancel_wanted, job.move_wanted, job.move_to, job.request,
                       job.request_done, job.request_error, job.retries_used, job.failures, job.stuck,
                       EpochOf(job.resume_below), NumberOf(job.resume_below), job.exit_code, job.result,
                       job.result_epoch, job.note, wall_ms_);
  }

  Result<> operator()(const Attempt& attempt) {
    static const std::string kSql = fmt::format(
        "INSERT INTO attempts ({}, created_ms, changed_ms) VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?12) "
        "ON CONFLICT (job, epoch) DO UPDATE SET ({}, changed_ms) = (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12)",
        kAttemptColumns, kAttemptColumns);
    return handle_.Run(kSql, attempt.unit.job, attempt.unit.epoch, attempt.worker, attempt.boot_id, attempt.state,
                       attempt.end, EpochOf(attempt.resumed_from), NumberOf(attempt.resumed_from), attempt.exit_code,
                       attempt.detail, attempt.frozen.count(), wall_ms_);
  }

  Result<> operator()(const Checkpoint& checkpoint) {
    static const std::string kSql = fmt::format(
        "INSERT INTO checkpoints ({}, created_ms) VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9) "
        "ON CONFLICT (job, epoch, number) DO UPDATE SET ({}) = (?1,?2,?3,?4,?5,?6,?7,?8)",
        kCheckpointColumns, kCheckpointColumns);
    return handle_.Run(kSql, checkpoint.job, checkpoint.ref.epoch, checkpoint.ref.number, checkpoint.manifest_hash,
                       checkpoint.bytes, checkpoint.pause.count(), checkpoint.total.count(), checkpoint.dropped,
                       wall_ms_);
  }

  Result<> operator()(const Worker& worker) {
    return handle_.Run("REPLACE INTO workers (id, incarnation, boot_id, draining) VALUES (?,?,?,?)", worker.id,
                       worker.incarnation, worker.boot_id, worker.draining);
  }

  Result<> operator()(const pool::HistoryLine& line) {
    return handle_.Run("INSERT INTO history (at_ms, job, epoch, worker, text) VALUES (?,?,?,?,?)", wall_ms_, line.job,
                       line.epoch, line.worker, line.text);
  }

 private:
  SqliteHandle& handle_;
  int64_t wall_ms_;
};

// Each row of a query, made into a value.
template <typename Row, typename Read>
Result<> ForEach(Statement statement, std::vector<Row>* rows, Read read) {
  while (true) {
    BATON_TRY(const bool row, statement.Step());
    if (!row) return {};
    rows->push_back(read(statement));
  }
}

class SqliteDatabase : public Database {
 public:
  explicit SqliteDatabase(SqliteHandle handle) : handle_(std::move(handle)) {}

  Result<> Prepare() {
    BATON_TRY(const std::string mode, handle_.One("PRAGMA journal_mode = WAL"));
    if (mode != "wal") return MakeError(ErrorCode::kIo, "the database cannot be in WAL mode here");
    BATON_CHECKED(handle_.Execute("PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON"));
    BATON_CHECKED(Migrate());
    return FindPoolId();
  }

  const std::string& pool_id() const override { return pool_id_; }

  Result<std::vector<Change>> Load() override {
    std::vector<Change> rows;
    BATON_TRY(Statement jobs, handle_.Prepare(fmt::format("SELECT {} FROM jobs ORDER BY id", kJobColumns)));
    BATON_CHECKED(ForEach(std::move(jobs), &rows, ReadJob));
    BATON_TRY(Statement attempts,
              handle_.Prepare(fmt::format("SELECT {} FROM attempts AS a WHERE epoch = "
                                          "(SELECT max(epoch) FROM attempts WHERE job = a.job) ORDER BY job",
                                          kAttemptColumns)));
    BATON_CHECKED(ForEach(std::move(attempts), &rows, ReadAttempt));
    BATON_TRY(Statement checkpoints,
              handle_.Prepare(fmt::format("SELECT {} FROM checkpoints WHERE NOT dropped", kCheckpointColumns)));
    BATON_CHECKED(ForEach(std::move(checkpoints), &rows, ReadCheckpoint));
    BATON_TRY(Statement workers, handle_.Prepare("SELECT id, incarnation, boot_id, draining FROM workers"));
    BATON_CHECKED(ForEach(std::move(workers), &rows, [](const Statement& row) {
      return Worker{
          .id = row.Text(0), .incarnation = row.As<uint64_t>(1), .boot_id = row.Text(2), .draining = row.As<bool>(3)};
    }));
    return rows;
  }

  Result<> Commit(const std::vector<Change>& changes, int64_t wall_ms) override {
    if (changes.empty()) return {};
    BATON_CHECKED(FailPoint("controller.commit"));
    auto committed = handle_.InTransaction([&]() -> Result<> {
      Writer writer(&handle_, wall_ms);
      for (const Change& change : changes) BATON_CHECKED(std::visit(writer, change));
      return {};
    });
    DiePoint();
    return committed;
  }

  Result<std::vector<HistoryRow>> History(uint64_t job, size_t limit) override {
    std::vector<HistoryRow> rows;
    BATON_TRY(Statement lines, handle_.Prepare("SELECT at_ms, job, epoch, worker, text FROM (SELECT * FROM history "
                                               "WHERE job = ?1 OR ?1 = 0 ORDER BY id DESC LIMIT ?2) ORDER BY id"));
    lines.Bind(job, limit);
    BATON_CHECKED(ForEach(std::move(lines), &rows, [](const Statement& row) {
      return HistoryRow{
          .at_ms = row.Integer(0),
          .line = {
              .job = row.As<uint64_t>(1), .epoch = row.As<uint64_t>(2), .worker = row.Text(3), .text = row.Text(4)}};
    }));
    return rows;
  }

  Result<std::vector<AttemptRow>> Attempts(uint64_t job) override {
    std::vector<AttemptRow> rows;
    BATON_TRY(Statement found, handle_.Prepare(fmt::format("SELECT {}, created_ms, changed_ms FROM attempts "
                                                           "WHERE job = ? ORDER BY epoch",
                                                           kAttemptColumns)));
    found.Bind(job);
    BATON_CHECKED(ForEach(std::move(found), &rows, [](const Statement& row) {
      return AttemptRow{.attempt = ReadAttempt(row),
                        .times = {.created_ms = row.Integer(11), .changed_ms = row.Integer(12)}};
    }));
    return rows;
  }

  Result<std::vector<CheckpointRow>> Checkpoints(uint64_t job) override {
    std::vector<CheckpointRow> rows;
    BATON_TRY(Statement found, handle_.Prepare(fmt::format("SELECT {}, created_ms FROM checkpoints "
                                                           "WHERE job = ? ORDER BY epoch, number",
                                                           kCheckpointColumns)));
    found.Bind(job);
    BATON_CHECKED(ForEach(std::move(found), &rows, [](const Statement& row) {
      return CheckpointRow{.checkpoint = ReadCheckpoint(row), .created_ms = row.Integer(8)};
    }));
    return rows;
  }

  Result<RowTimes> JobTimes(uint64_t job) override {
    BATON_TRY(Statement found, handle_.Prepare("SELECT created_ms, changed_ms FROM jobs WHERE id = ?"));
    found.Bind(job);
    BATON_TRY(const bool row, found.Step());
    if (!row) return MakeError(ErrorCode::kNotFound, "there is no job {}", job);
    return RowTimes{.created_ms = found.Integer(0), .changed_ms = found.Integer(1)};
  }

 private:
  Result<> Migrate() {
    BATON_TRY(const std::string version, handle_.One("PRAGMA user_version"));
    const size_t have = std::stoul(version);
    const std::span<const Migration> steps = Migrations();
    if (have > steps.size()) {
      return MakeError(ErrorCode::kNotSupported, "the database has version {}, this Baton knows {}: use a newer one",
                       have, steps.size());
    }
    for (size_t i = have; i < steps.size(); ++i) {
      auto done = handle_.InTransaction([&]() -> Result<> {
        BATON_CHECKED(handle_.Execute(steps[i].sql));
        return handle_.Execute(fmt::format("PRAGMA user_version = {}", i + 1));
      });
      if (!done) return done.Fail("migration {}", steps[i].name);
    }
    return {};
  }

  Result<> FindPoolId() {
    BATON_TRY(const std::string fresh, RandomId());
    BATON_CHECKED(handle_.Run("INSERT INTO pool (id) SELECT ? WHERE NOT EXISTS (SELECT 1 FROM pool)", fresh));
    BATON_TRY(pool_id_, handle_.One("SELECT id FROM pool"));
    return {};
  }

  SqliteHandle handle_;
  std::string pool_id_;
};

}  // namespace

Result<std::unique_ptr<Database>> OpenSqliteDatabase(const std::string& path, const char* vfs) {
  auto handle = SqliteHandle::Open(path, vfs);
  if (!handle) return handle.Fail("database");
  auto database = std::make_unique<SqliteDatabase>(std::move(*handle));
  if (auto prepared = database->Prepare(); !prepared) return prepared.Fail("database {}", path);
  return database;
}

}  // namespace baton
