// RestorePlan: what has to be done to bring the directories as they are to the state of a manifest. Makes no change.
//
// Thread-safety: free function without state. Errors: as WalkTree; a file that cannot be read counts as different.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "workspace/manifest.pb.h"
#include "workspace/walk.h"

namespace baton {

enum class RestoreAction {
  kKeep,      // is as it was
  kMetadata,  // content is as it was; mode, owner, times or attributes are not
  kMake,      // is missing, or its content is another
};

struct LaterPath {
  uint32_t root = 0;  // index in the manifest
  std::string path;
};

struct RestorePlan {
  std::vector<RestoreAction> actions;  // one for each entry of the manifest
  // What is not in the manifest, or is of another type there; of a tree only the top, unless something in it must stay.
  std::vector<LaterPath> later;
};

// `walk`: the manifest's roots, in its order.
Result<RestorePlan> PlanRestore(const pb::WorkspaceManifest& manifest, const WalkOptions& walk);

// Who an entry's file belongs to now: what was the saver's own is ours.
uint32_t OwnerNow(const pb::WorkspaceManifest& manifest, const pb::WorkspaceEntry& entry);
uint32_t GroupNow(const pb::WorkspaceManifest& manifest, const pb::WorkspaceEntry& entry);

}  // namespace baton
