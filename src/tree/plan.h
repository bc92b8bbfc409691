// How to make a forest of processes again with the parents, sessions and process groups it had. A pure planner: plain
// values in, an ordered list of steps out, no system calls.
//
// What the kernel lets one do (Linux 6; fork(2), setsid(2), setpgid(2), PR_SET_CHILD_SUBREAPER(2const)):
//   - a new process is in the session and group of the process that forks it, and is that process's child;
//   - setsid() makes session and group of the caller's own number, unless a group of that number exists;
//   - setpgid() moves a process, not a session leader, to a group of its session, or to a new one of its own number;
//   - the parent changes only when it dies: the nearest living ancestor that is a subreaper adopts, else the reaper;
//   - a session or group lives on, and keeps its number taken, as long as it has one process;
//   - what tasks share, one has from the other by birth (sharing.h).
// Two things make every shape possible that can come about at all: temporary processes, and that any process may be a
// subreaper for the moment in which a temporary child of it dies (see ancestry.h for the argument).
//
// A plan has four parts, in this order: births (also of the threads that TreeNode names) and setsid(), groups, ends of
// the temporary processes, and the subreaper flags that stay. All nodes are alive in it; zombies are to be ended after
// it.
//
// Thread-safety: pure functions. Input may be hostile: cost is bounded (n log n for shapes that ordinary programs
// make), nothing recurses over it.
#pragma once

#include <sys/types.h>

#include <span>

#include "base/result.h"
#include "tree/tree_node.h"
#include "tree/tree_steps.h"

namespace baton {

// `avoid`: more numbers that temporary processes must not have (threads).
// Errors: kCorrupt if the numbers contradict each other (doubles, cycles, a group in two sessions, ...); kNotSupported
// if no sequence of events leads to such a forest, or none was found in reasonable time. Both name the processes.
Result<TreePlan> PlanTree(std::span<const TreeNode> nodes, const TreeOutside& outside,
                          std::span<const pid_t> avoid = {});

}  // namespace baton
