// The records of a unit's processes as the values that src/tree plans with.
//
// Thread-safety: pure functions.
#pragma once

#include <sys/types.h>

#include <span>
#include <vector>

#include "engine/native/native.pb.h"
#include "tree/tree_node.h"

namespace baton {

TreeOutside OutsideOf(const pb::UnitRecord& unit, std::span<const pb::ProcessRecord> processes, pid_t reaper);
std::vector<TreeNode> TreeNodesOf(std::span<const pb::ProcessRecord> processes, pid_t reaper);

}  // namespace baton
