// Makes the checkpoints of one running job, one at a time, without holding up the keeper's loop longer than the
// program's own pause. A failure leaves the job going on and the last complete checkpoint as it was.
//
//   phase       thread     what
//   pre-copy    helper     a place in the store; changed files of the workspace are copied while the job runs
//   pause       tracer     engine: prepare, stop; log drained; files changed since; capture; resume. The keeper waits
//   write       helper     the image, the metadata, commit; then all but the last three are dropped
//
// Thread-safety: used from the keeper's thread only; the helper thread touches nothing of the keeper's.
#pragma once

#include <functional>

#include "base/result.h"
#include "keeper/run_record.pb.h"

namespace baton {

class Checkpointer {
 public:
  using Done = std::function<void(const Result<pb::CheckpointNote>&)>;

  Checkpointer() = default;
  Checkpointer(const Checkpointer&) = delete;
  Checkpointer& operator=(const Checkpointer&) = delete;
  virtual ~Checkpointer() = default;

  // What the job does when it was captured. kHold: stands still until LetGo.
  enum class After { kGoOn, kHold };

  virtual bool busy() const = 0;
  // Begins one; `done` is called from the event loop (or from Finish). REQUIRES: !busy() and !holds().
  virtual void Start(Done done, After after) = 0;
  // The job stands still by a capture: because of kHold, or because it might not run any more when it was over.
  virtual bool holds() const = 0;
  // Lets it go on. REQUIRES: holds().
  virtual Result<> LetGo() = 0;
  // Waits for the one under way, if any; its `done` has been called on return.
  virtual void Finish() = 0;
};

}  // namespace baton
