// How to make a forest of processes again with the parents, sessions and process groups it had. A pure planner: plain
// values in, an ordered list of steps out, no system calls.
//
// What the kernel lets one do (Linux 6; fork(2), setsid(2), setpgid(2), PR_SET_CHILD_SUBREAPER(2const)):
//   - a new process is in the session and group of the process that forks it, and is that process's child;
//   - setsid() makes session and group of the caller's own number, unless a group of that number exists;
//   - setpgid() moves a process, not a session leader, to a group of its session, or to a new one of its own number;
//   - the parent changes only when it dies: the nearest living ancestor that is a subreaper adopts, else the reaper;
//   - a session or group lives on, and keeps its number taken, as long as it has one process.
// Two things make every shape possible that can come about at all: temporary processes, and that any process may be a
// subreaper for the moment in which a temporary child of it dies (see ancestry.h for the argument).
//
// A plan has four parts, in this order: births and setsid(), groups, ends of the temporary processes, and the subreaper
// flags that stay. All nodes are alive in it; zombies are to be ended after it.
//
// Thread-safety: pure functions. Input may be hostile: cost is bounded (n log n for shapes that ordinary programs
// make), nothing recurses over it.
#pragma once

#include <sys/types.h>

#include <span>
#include <vector>

#include "base/result.h"
#include "tree/tree_node.h"

namespace baton {

struct TreeStep {
  enum class Kind {
    kFork,          // `other` makes its child `pid`
    kSetSid,        // by `pid`
    kSetPgid,       // `pid` moves itself to group `other`
    kSetSubreaper,  // of `pid`, to `on`
    kExit,          // `pid`, a temporary process, ends; its parent `other` reaps it
  };
  Kind kind = Kind::kFork;
  pid_t pid = 0;
  pid_t other = 0;
  bool on = false;

  bool operator==(const TreeStep&) const = default;
};

struct TemporaryProcess {
  pid_t pid = 0;
  // False: the number of a dead session or group leader, no other will do. True: any number in its place that neither
  // the unit nor another temporary process uses.
  bool any_number = false;
};

struct TreePlan {
  std::vector<TreeStep> steps;
  std::vector<TemporaryProcess> temporaries;
  // The reaper gets a node by adoption: it must be the init of the namespace, or be a subreaper meanwhile.
  bool reaper_adopts = false;
};

// `avoid`: more numbers that temporary processes must not have (threads).
// Errors: kCorrupt if the numbers contradict each other (doubles, cycles, a group in two sessions, ...); kNotSupported
// if no sequence of events leads to such a forest, or none was found in reasonable time. Both name the processes.
Result<TreePlan> PlanTree(std::span<const TreeNode> nodes, const TreeOutside& outside,
                          std::span<const pid_t> avoid = {});

}  // namespace baton
