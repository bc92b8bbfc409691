// RunRequest: what `baton run` was asked for.
//
// Thread-safety: a plain value.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "capsule/capsule_options.h"
#include "keeper/job_log.h"
#include "keeper/job_spec.pb.h"
#include "keeper/paths.h"
#include "keeper/run_companion.h"

namespace baton {

// Resume: instead of what the job was started with; an empty command is none.
struct HookChanges {
  std::optional<std::string> before = {};
  std::optional<std::string> after = {};
  std::optional<std::string> resume = {};
  std::optional<int> signal = {};
  std::optional<uint64_t> limit_ms = {};

  void Apply(pb::JobHooks* hooks) const {
    if (before) hooks->set_before(*before);
    if (after) hooks->set_after(*after);
    if (resume) hooks->set_resume(*resume);
    if (signal) hooks->set_signal(*signal);
    if (limit_ms) hooks->set_limit_ms(*limit_ms);
  }
};

struct RunRequest {
  StatePaths paths;
  // A fresh start: all of it, the name may be empty (one is made from the program's). Resume: the name only.
  pb::JobSpec spec;
  std::string store_dir;         // absolute; empty: the run's own, or the state directory's
  std::string output_path = {};  // absolute; empty: in the run's directory
  bool replace = false;          // forget an interrupted run of the same name
  bool resume = false;
  // Where the workspace's main directory is (to be) on this machine, absolute; empty: where the job sees it.
  std::string place_workdir = {};
  std::optional<bool> clock_wall = std::nullopt;  // resume: instead of what the job was started with
  std::optional<uint64_t> every_ms = std::nullopt;
  std::optional<bool> reset_tcp_outside = std::nullopt;
  HookChanges hooks = {};
  std::vector<CapsuleBind> path_maps = {};    // resume; none: those of the last one on this machine
  std::vector<std::string> environment = {};  // resume: NAME=VALUE, in place of what its processes have
  // Go on, under the spec's name, with what another keeper saved under its own; the first of these that is whole.
  // Nothing is left of the workspace on this machine then: it is made again.
  std::vector<ResumePoint> resume_from = {};
  RunCompanion* companion = nullptr;  // borrowed
  JobLog::Copies copies = JobLog::Copies::kToOurs;
};

}  // namespace baton
