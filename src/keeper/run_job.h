// RunJob: `baton run` as a function: a job from its start (or from a checkpoint) to its end, in the foreground.
//
// Thread-safety: call it from the main thread of a process that has no other thread (see capsule.h); it takes over the
// process's SIGINT, SIGTERM, SIGHUP, SIGQUIT and SIGPIPE.
// Errors: kConflict while the run's name is in use; kNotFound for a run or checkpoint that is not there; kNotSupported
// where this system cannot make a capsule. A program that cannot be started is no error but exit code 126 or 127.
#pragma once

#include "base/result.h"
#include "keeper/keeper.h"
#include "keeper/run_request.h"

namespace baton {

Result<JobEnd> RunJob(const RunRequest& request);

}  // namespace baton
