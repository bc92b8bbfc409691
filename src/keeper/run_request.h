// RunRequest: what `baton run` was asked for.
//
// Thread-safety: a plain value.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "keeper/job_spec.pb.h"
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

}  // namespace baton
