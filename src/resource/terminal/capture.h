// One open file of a pseudo terminal as a record.
//
// Thread-safety: the tracer's thread.
#pragma once

#include "base/result.h"
#include "resource/kind.h"
#include "resource/terminal/terminal.pb.h"

namespace baton {

// Everything but what is in the queues. kNotSupported for a terminal whose master is outside the unit, or that is no
// pseudo terminal.
Result<pb::TerminalPayload> CaptureTerminal(const FdFacts& file, const CaptureContext& context);
// The queues of a master, which are taken out for a moment.
Result<> CaptureQueues(const FdFacts& file, const CaptureContext& context, pb::TerminalPayload& message);

}  // namespace baton
