// What a worker keeps of one unit:
//
//   UNITS/JOB.EPOCH/  the worker's
//     start           what its keeper is told (UnitStart); there before anything is started, so that nothing is
//                     started twice
//     keeper          which process the keeper is (KeeperProcess)
//     messages        what the keeper has to say
//     own/            of the user as whom the keeper runs: nothing in it is believed about anybody else
//       end           how the program ended (UnitReport), if it did by itself
//       state/        a state directory with one run, JOB.EPOCH (keeper/paths.h)
//       work/         the workspace
//
// Thread-safety: plain values and free functions. Errors: kNotFound for a file that is not there, kCorrupt for a
// damaged one.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "pool/decide/terms.h"
#include "pool/keeper/unit_files.pb.h"
#include "pool/wire/pool_store.h"

namespace baton {

class UnitFiles {
 public:
  UnitFiles(const std::string& units_dir, const pool::UnitKey& unit) : directory_(units_dir + "/" + UnitName(unit)) {}
  explicit UnitFiles(std::string directory) : directory_(std::move(directory)) {}

  const std::string& directory() const { return directory_; }
  std::string messages() const { return directory_ + "/messages"; }
  std::string own_dir() const { return directory_ + "/own"; }
  std::string state_dir() const { return own_dir() + "/state"; }
  std::string work_dir() const { return own_dir() + "/work"; }

  // Makes the directories; what the keeper needs belongs to start.user, if there is one.
  Result<> SaveStart(const pb::UnitStart& start) const;
  Result<pb::UnitStart> LoadStart() const;
  Result<> SaveKeeper(const pb::KeeperProcess& keeper) const;
  Result<pb::KeeperProcess> LoadKeeper() const;
  Result<> SaveEnd(const pb::UnitReport& end) const;
  Result<pb::UnitReport> LoadEnd() const;

 private:
  std::string directory_;
};

// Units that are on disk, in order.
Result<std::vector<pool::UnitKey>> ListUnits(const std::string& units_dir);

}  // namespace baton
