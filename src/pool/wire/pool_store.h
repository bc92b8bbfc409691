// What is where in the store of a pool, a directory that controller, workers and the command line reach under one name:
//
//   STORE/
//     pool                   whose it is: the pool's id
//     JOB.EPOCH/             the checkpoints of one unit (store/directory_store.h)
//     .lock-JOB.EPOCH        held by its keeper (store/job_lock.h)
//     logs/JOB.EPOCH         what the job has written, from its beginning on, as of that attempt
//     logs/JOB.EPOCH.start   how that attempt began (AttemptStart); there as soon as it has
//     results/JOB.EPOCH/     the workspace of a job that has ended: a manifest and its objects
//     inputs/INPUT/          with what a job's workspace begins: the same
//
// Only the controller removes what is of no use any more; each epoch writes under its own names, so that a late writer
// of an old one disturbs nobody.
//
// Thread-safety: plain values.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "pool/decide/terms.h"

namespace baton {

// "JOB.EPOCH"
std::string UnitName(const pool::UnitKey& unit);
std::optional<pool::UnitKey> ParseUnitName(std::string_view name);

class PoolStore {
 public:
  explicit PoolStore(std::string root) : root_(std::move(root)) {}

  const std::string& root() const { return root_; }
  std::string mark() const { return root_ + "/pool"; }
  std::string unit(const pool::UnitKey& unit) const { return root_ + "/" + UnitName(unit); }
  std::string lock(const pool::UnitKey& unit) const { return root_ + "/.lock-" + UnitName(unit); }
  std::string logs() const { return root_ + "/logs"; }
  std::string log(const pool::UnitKey& unit) const { return logs() + "/" + UnitName(unit); }
  std::string attempt_start(const pool::UnitKey& unit) const { return log(unit) + ".start"; }
  std::string results() const { return root_ + "/results"; }
  std::string result(const pool::UnitKey& unit) const { return results() + "/" + UnitName(unit); }
  std::string inputs() const { return root_ + "/inputs"; }
  std::string input(const std::string& name) const { return inputs() + "/" + name; }

 private:
  std::string root_;
};

// Of a result and of an input.
inline std::string SavedManifest(const std::string& directory) { return directory + "/workspace"; }
inline std::string SavedObjects(const std::string& directory) { return directory + "/objects"; }

// A name for an input: 1 to 64 letters and digits.
bool IsInputName(std::string_view name);

}  // namespace baton
