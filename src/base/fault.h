// Faults on demand, in every build: how the tests make each step of a checkpoint or restore fail, or the engine die in
// it.
//
//   BATON_FAIL_AT=name[:n]     the n-th (default first) passage of the fail point `name` returns an error
//   BATON_FAIL_TRACE=FILE      the name of every fail point passed is appended to FILE, a line each
//   BATON_HOLD_AT=name[:n]     at the n-th passage of the fail point the process waits, after tracing it, until
//   somebody
//                              opens the FIFO BATON_HOLD_FIFO for writing
//   BATON_DIE_AT=n             the process kills itself with SIGKILL at the n-th passage of a die point
//   BATON_DIE_TRACE=FILE       at each die point the number reached so far replaces the content of FILE
//
// Without these variables a point costs one load and one branch. Thread-safety: safe to call from any thread.
#pragma once

#include <string_view>

#include "base/result.h"

namespace baton {

// Names are "<area>.<step>", e.g. "capture.registers". Returns kInternal where asked to fail here.
Result<> FailPoint(std::string_view name);
// Placed before and after whatever changes a traced task or publishes an image; every fail point is one too.
void DiePoint();

}  // namespace baton
