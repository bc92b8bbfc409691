// Contexts of asynchronous I/O (io_setup(2)). One is a ring of events, mapped where its id says, and a state in the
// kernel that only requests move on.
//
// Thread-safety: the tracer's thread.
#pragma once

#include "base/result.h"
#include "engine/native/native.pb.h"
#include "task/remote_syscalls.h"

namespace baton {

// Fills in the mappings with backing AIO: what is in the ring, and whether the context is the process' own (what a
// parent had is still mapped, but of no use). Waits a moment for requests that are under way; those that take longer
// (IOCB_CMD_POLL) nobody can see. kUnavailable if they keep coming to an end.
Result<> CaptureAio(RemoteSyscalls& calls, pb::ProcessRecord& process);

// kCorrupt for a ring that cannot be.
Result<> CheckAio(const pb::MappingRecord& mapping);

// Makes all contexts of the process again at their places, with the events that nobody has read yet. REQUIRES: nothing
// else is there. Opens a descriptor and closes it. Arguments are reset.
Result<> RestoreAio(RemoteSyscalls& calls, const pb::ProcessRecord& process);

}  // namespace baton
