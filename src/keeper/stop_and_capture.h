// The part of a checkpoint in which the unit stands still. A process that is killed from outside just then is an
// ordinary case: everything is let go, and it is tried again with those that are left.
#pragma once

#include <signal.h>

#include <functional>

#include "base/result.h"
#include "engine/engine.h"

namespace baton {

// Stops the unit, calls `stopped`, captures it. With success it stands still and is captured; with an error it may
// stand still, until Resume or the end of `capture`. `stopped` may be called again after the unit ran on for a moment.
Result<> StopAndCapture(UnitCapture& capture, const std::function<Result<>()>& stopped);

// Runs `work` on a thread of its own and waits for it. ptrace belongs to a thread: when that ends, the kernel lets go
// of whatever it may still hold, and tells of deaths that were not asked about.
Result<> OnTracerThread(const std::function<Result<>()>& work);

// While this lives, the signals that a terminal stops its processes with wait: were we stopped while a unit stands
// still, it would stand still as long as we do. For the calling thread and those it makes.
class NotStoppable {
 public:
  NotStoppable();
  NotStoppable(const NotStoppable&) = delete;
  NotStoppable& operator=(const NotStoppable&) = delete;
  ~NotStoppable();

 private:
  sigset_t before_{};
};

}  // namespace baton
