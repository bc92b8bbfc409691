// RestoreTree: `baton restore` as a function: an image becomes running processes again.
//
//   in place    (root only) in the caller's own namespaces, under the numbers the processes had; they are not bound to
//               this process: when it ends they go on, their first process as a child of init or a subreaper
//   in capsule  in namespaces of their own (capsule.h), with their clocks carried on; they end with this process, so
//               that a detached one stays behind as their keeper
//
// The image is checked in full before any process is made; after a failure nothing is left behind.
//
// Thread-safety: call it from the main thread of a process that has no other (see capsule.h); it takes over SIGINT,
// SIGTERM, SIGHUP and SIGQUIT: they are handed to the first process's group, a second SIGINT or SIGTERM kills.
// Errors: kCorrupt for a bad image; kConflict, with the owner, where a process number is taken; kNotSupported for what
// this machine cannot do.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "base/result.h"
#include "keeper/external_fds.h"
#include "keeper/run_request.h"

namespace baton {

struct TreeRestoreRequest {
  std::string image;
  bool detach = false;   // return once the processes run
  bool capsule = false;  // always so for an ordinary user
  bool shell_job = false;
  bool clock_wall = false;    // in a capsule: the time since the checkpoint counts for CLOCK_MONOTONIC
  std::string pid_file = {};  // the first process's number, as the caller sees it, is there before the processes run
  std::vector<ExternalRule> externals = {};
  std::vector<CapsuleBind> path_maps = {};    // in a capsule only
  std::vector<std::string> environment = {};  // NAME=VALUE, in place of what the processes have
  HookChanges hooks = {};                     // `resume`: before the processes run; if it fails, they do not
};

struct RestoredTree {
  pid_t pid = 0;      // the first process, as the caller sees it
  int exit_code = 0;  // as a shell would see it (128 + n after signal n); 0 if detached
};

Result<RestoredTree> RestoreTree(const TreeRestoreRequest& request);

}  // namespace baton
