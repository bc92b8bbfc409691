// A directory saved in a pool's store by itself: the input of a job, and its result (pool/wire/pool_store.h).
//
// Thread-safety: free functions. Errors: those of WorkspaceSave and RestoreWorkspace; kConflict if it is there already.
#pragma once

#include <string>

#include "base/result.h"
#include "workspace/workspace.h"

namespace baton {

// The root of every such tree, and of a job's workspace.
inline constexpr const char* kWorkRoot = "work";

struct SavedTree {
  std::string hash;  // of the manifest, which covers all the rest
  uint64_t bytes = 0;
};

// Saves `from` as STORE/.../NAME, which is there as a whole or not at all. Nobody writes to `from` meanwhile.
// `skip_paths` and `excludes` as in WorkspaceOptions.
Result<SavedTree> SaveTree(const std::string& from, const std::string& to, const WorkspaceOptions& options = {});

// Puts what a manifest has of the root "work" into the directory `to`, which is made if need be.
Result<> LoadTree(const std::string& manifest, const std::string& objects_dir, const std::string& to);

// BLAKE2b of a file, in hex.
Result<std::string> HashOfFile(const std::string& path);

}  // namespace baton
