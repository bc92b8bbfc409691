// ResumeJob: goes on with a job from its newest good checkpoint: `baton run --resume`.
//
// Thread-safety and errors: as RunJob (run_job.h).
#pragma once

#include "base/result.h"
#include "keeper/keeper.h"
#include "keeper/run_request.h"

namespace baton {

Result<JobEnd> ResumeJob(const RunRequest& request);

}  // namespace baton
