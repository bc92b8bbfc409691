// RunJob: `baton run` as a function: a job from its start (or from a checkpoint) to its end, in the foreground.
//
// Thread-safety: call it from the main thread of a process that has no other thread (see capsule.h); it takes over the
// process's SIGINT, SIGTERM, SIGHUP, SIGQUIT and SIGPIPE.
// Errors: kConflict while the run's name is in use; kNotFound for a run or checkpoint that is not there; kNotSupported
// where this system cannot make a capsule. A program that cannot be started is no error but exit code 126 or 127.
#pragma once

#include <optional>
#include <string>

#include "base/result.h"
#include "keeper/job_spec.pb.h"
#include "keeper/keeper.h"
#include "keeper/paths.h"

namespace baton {

struct RunRequest {
  StatePaths paths;
  // A fresh start: all of it, the name may be empty (one is made from the program's). Resume: the name only.
  pb::JobSpec spec;
  std::string store_dir;         // absolute; empty: the run's own, or the state directory's
  std::string output_path = {};  // absolute; empty: in the run's directory
  bool replace = false;          // forget an interrupted run of the same name
  bool resume = false;
  // Resume: where the workspace's main directory is to be on this machine, absolute; empty: where the job sees it.
  std::string place_workdir = {};
  std::optional<bool> clock_wall = std::nullopt;  // resume: instead of what the job was started with
  std::optional<uint64_t> every_ms = std::nullopt;
};

Result<JobEnd> RunJob(RunRequest request);

}  // namespace baton
