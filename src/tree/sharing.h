// Who must make whom, so that tasks share again what they shared: memory, signal actions, descriptors, directories.
// Internal to src/tree.
//
// Rules (clone(2), unshare(2)). A task has what it shares from the task that made it, and from nobody else. A child of
// a process can be made by any thread of it, or by another child of it (CLONE_PARENT: "as brother"); a thread by any
// thread of its process. Descriptors and directories can be given up later for a copy, memory and signal actions not.
//
// So a table wanders down the tree of births, from the topmost birth that has to do with it to all processes that have
// it, and each birth can hand on one table of each sort: where two would have to go the same way, the unit is refused.
// A process on the way that does not have the table itself gives it up again, once another task holds it for the
// children: a thread of its own that has it, or a temporary one. Memory, which threads of a process all share, is held
// by a temporary child ("carrier") that makes its brothers; so is anything for those whom the reaper makes.
//
// The tasks that hold tables for a process' children must get them from one another too. Each is made by one that was
// there before, and what it does not share with that one is new; so all that have a table must hang together in the
// tree of who makes whom. A tree with the most in common along its edges is such a one, if there is any (junction
// trees, known from probability networks): built as Prim does it, and checked.
#pragma once

#include <span>

#include "base/result.h"
#include "tree/free_numbers.h"
#include "tree/tree_steps.h"

namespace baton {

// The plan with its births made by the right tasks, and with the threads of TreeNode::threads. Errors: kNotSupported,
// see PlanTree.
Result<TreePlan> AddSharing(TreePlan plan, std::span<const TreeNode> nodes, const TreeOutside& outside,
                            FreeNumbers& numbers);

}  // namespace baton
