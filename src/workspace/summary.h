// What a walk of a workspace found, in figures and in words for the user; and the limit on its size.
// Thread-safety: free functions without state.
#pragma once

#include <vector>

#include "base/result.h"
#include "workspace/walk.h"
#include "workspace/workspace.h"

namespace baton {

// Files, bytes and notes of the stats. kInvalidArgument above the limit, naming what is largest and what to do.
Result<WorkspaceStats> Summarize(const TreeListing& listing, const WorkspaceOptions& options);

// objects_dir is skipped besides skip_paths.
WalkOptions WalkOptionsOf(const WorkspaceOptions& options);

}  // namespace baton
