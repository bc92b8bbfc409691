// RunCompanion: who decides, beside the keeper, whether the job may run: a pool's lease. It lives in the keeper's event
// loop. `baton run` has none.
//
// Thread-safety: none; all calls come from the keeper's thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/result.h"

namespace baton {

class Keeper;

// Where a job goes on that another keeper had: a checkpoint under that one's name.
struct ResumePoint {
  std::string name;
  uint64_t number = 0;
  uint64_t log_bytes = 0;  // of its log at that point; known when it is resumed
};

class RunCompanion {
 public:
  RunCompanion() = default;
  RunCompanion(const RunCompanion&) = delete;
  RunCompanion& operator=(const RunCompanion&) = delete;
  virtual ~RunCompanion() = default;

  // At a resume: the checkpoint was read, and the files are back.
  virtual void OnFetched() = 0;
  // Everything is made and nothing of the job runs yet. Returns when it may; runs the keeper's loop meanwhile. An error
  // ends the attempt. `from`: as in the request.
  virtual Result<> AwaitStart(Keeper& keeper, const std::optional<ResumePoint>& from) = 0;
  // Whether the job may run at this moment: asked before a checkpoint stops it, and before it is let go again. From
  // another thread than the keeper's, which waits meanwhile.
  virtual bool MayRun() const = 0;
  // A capture holds the job (Checkpointer), since it might not run any more when it was over.
  virtual Result<> OnHeld() = 0;
  // The program wants a checkpoint; it is for the companion to begin one (Keeper::MakeCheckpoint), now or later.
  virtual Result<> OnProgramAsks() = 0;
  // The oldest checkpoint of this keeper that is still needed.
  virtual uint64_t KeepCheckpointsFrom() const = 0;
};

}  // namespace baton
