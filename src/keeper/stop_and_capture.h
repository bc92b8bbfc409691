// The part of a checkpoint in which the unit stands still. A process that is killed from outside just then is an
// ordinary case: everything is let go, and it is tried again with those that are left.
#pragma once

#include <functional>

#include "base/result.h"
#include "engine/engine.h"

namespace baton {

// Stops the unit, calls `stopped`, captures it. With success it stands still and is captured; with an error it may
// stand still, until Resume or the end of `capture`. `stopped` may be called again after the unit ran on for a moment.
Result<> StopAndCapture(UnitCapture& capture, const std::function<Result<>()>& stopped);

}  // namespace baton
