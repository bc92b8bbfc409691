// What each task has for itself, unless it was made to share it: address space, signal actions, descriptors, working
// directory. Source: clone(2), unshare(2), kcmp(2).
//
// Thread-safety: free functions; the processes must stand still, where nothing else is said.
#pragma once

#include <sys/types.h>

#include <map>
#include <span>
#include <vector>

#include "base/result.h"
#include "engine/native/frozen_task.h"
#include "tree/tree_node.h"

namespace baton {

// `type`: KCMP_FILES and the like.
bool Share(pid_t a, pid_t b, int type);

// Numbers as tree_node.h says, by the tid under which we see a task.
struct SharedTables {
  std::map<pid_t, Tables> processes;  // of each process that lives, by FrozenProcess::living_tid()
  std::map<pid_t, std::map<pid_t, Tables>>
      threads;  // by that tid: threads with descriptors or directories of their own

  bool empty() const;
};

// kNotSupported, naming both, if one of the unit's processes shares something with one that is neither in the unit nor
// below it. They need not stand still. Those that we may not look at are passed over.
Result<> CheckNotSharedOutside(std::span<const pid_t> unit);

Result<SharedTables> FindSharedTables(std::span<const FrozenProcess> processes);

}  // namespace baton
