// Database: what survives the controller. It knows rows, no decisions: those are in pool/decide.
//
// Thread-safety: none. Errors: kIo, with what the database says, for a full disk and its like; after a failed Commit
// nothing of it is there, and the program is to end and to start again from what is there. kCorrupt for a damaged
// database; kNotSupported for one of a newer Baton; kConflict if another process writes to it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "pool/decide/controller_state.h"

namespace baton {

// When a row came to be and when it was changed last, by the wall clock.
struct RowTimes {
  int64_t created_ms = 0;
  int64_t changed_ms = 0;
};

struct HistoryRow {
  int64_t at_ms = 0;
  pool::HistoryLine line;
};
struct AttemptRow {
  pool::Attempt attempt;
  RowTimes times;
};
struct CheckpointRow {
  pool::Checkpoint checkpoint;
  int64_t created_ms = 0;
};

class Database {
 public:
  Database() = default;
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;
  virtual ~Database() = default;

  // Of the pool; made with the database, and never another one.
  virtual const std::string& pool_id() const = 0;
  // All that RecoverController needs: jobs, the newest attempt of each, checkpoints that are not dropped, workers.
  virtual Result<std::vector<pool::Change>> Load() = 0;
  // All of it or nothing; on disk when this returns. `wall_ms` is noted as the time of the changes.
  virtual Result<> Commit(const std::vector<pool::Change>& changes, int64_t wall_ms) = 0;

  // For people. All of one job, in order; all lines for job 0, at most the newest `limit`.
  virtual Result<std::vector<HistoryRow>> History(uint64_t job, size_t limit) = 0;
  virtual Result<std::vector<AttemptRow>> Attempts(uint64_t job) = 0;
  virtual Result<std::vector<CheckpointRow>> Checkpoints(uint64_t job) = 0;
  virtual Result<RowTimes> JobTimes(uint64_t job) = 0;
};

}  // namespace baton
