// A plan as plain values: what tree/plan.h makes, and who carries it out goes through.
//
// Thread-safety: plain values.
#pragma once

#include <sys/types.h>

#include <csignal>
#include <vector>

#include "tree/tree_node.h"

namespace baton {

struct TreeStep {
  enum class Kind {
    kFork,          // `other` makes its child `pid`
    kSetSid,        // by `pid`
    kSetPgid,       // `pid` moves itself to group `other`
    kSetSubreaper,  // of `pid`, to `on`
    kExit,          // `pid`, a temporary process, ends; its parent `other` reaps it
    kThread,        // `pid` becomes a thread of `other`
    kUnshare,       // `pid` gives up what it shares of `shares`, and has a copy
    kEndThread,     // `pid`, a temporary thread of `other`, ends
  };
  Kind kind = Kind::kFork;
  pid_t pid = 0;
  pid_t other = 0;
  bool on = false;
  // Of kFork and kThread.
  pid_t by = 0;             // the task that makes it; 0: the first thread of `other`
  bool as_brother = false;  // `by` is a child of `other` (CLONE_PARENT)
  unsigned shares = 0;      // bits of Table: what it shares with `by`
  int exit_signal = SIGCHLD;

  bool operator==(const TreeStep&) const = default;
};

// Or a thread.
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

}  // namespace baton
