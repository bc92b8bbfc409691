// A process tree as plain values: what tree/plan.h plans for.
//
// Thread-safety: plain values.
#pragma once

#include <sys/types.h>

#include <optional>

namespace baton {

// One process; numbers as the unit's pid namespace has them.
struct TreeNode {
  pid_t pid = 0;
  pid_t ppid = 0;  // a node, or TreeOutside::reaper for the roots
  pid_t pgid = 0;  // the leader of a group or session may be a node, dead, or outside (TreeOutside)
  pid_t sid = 0;
  bool zombie = false;
  bool subreaper = false;
};

// What the forest hangs on.
struct TreeOutside {
  pid_t reaper = 1;  // parent of the roots; it adopts those whose ancestors are no subreapers
  // The session and group that a root is in when it is forked, in which nodes may simply stay.
  std::optional<pid_t> session;
  std::optional<pid_t> group;
};

}  // namespace baton
