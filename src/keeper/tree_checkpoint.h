// CheckpointTree: `baton checkpoint --pid` as a function: a process tree that Baton did not start becomes an image in a
// directory.
//
// The tree stands still until the image is published under its name, and only then is it killed; after any failure
// before that it goes on as if nothing had been, and nothing is left behind. With `leave_running` it goes on as soon as
// its state is copied.
//
// Thread-safety: call it from the main thread of a process that has no other (ptrace belongs to a thread). It takes
// over SIGINT, SIGTERM, SIGHUP and SIGQUIT: one of them before the image is published makes it fail.
// Errors: kNotFound without such a process; kConflict if the directory is in use; kNotSupported for what cannot be
// saved; kUnavailable if interrupted.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "engine/engine.h"
#include "keeper/external_fds.h"
#include "keeper/process_scope.h"
#include "keeper/run_request.h"

namespace baton {

struct TreeCheckpointRequest {
  pid_t pid = 0;
  ProcessScope scope = ProcessScope::kTree;
  std::string to;  // must not exist, or be an empty directory
  bool leave_running = false;
  bool shell_job = false;
  bool reset_tcp_outside = false;
  std::vector<ExternalRule> externals = {};
  // Before anything else; and when the tree goes on or is dead, or it has failed. In our own namespaces.
  HookChanges hooks = {};
};

struct TreeCheckpointReport {
  CaptureStats stats;
  uint64_t bytes = 0;  // of the image
  std::chrono::nanoseconds total{0};
  std::string hook_error = {};  // what was wrong with the hook after it
};

Result<TreeCheckpointReport> CheckpointTree(const TreeCheckpointRequest& request);

// Sizes of all files of a directory, not of those below it.
uint64_t DirectoryBytes(const std::string& directory);

}  // namespace baton
