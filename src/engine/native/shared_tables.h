// What each process has for itself, unless it was made to share it: address space, signal actions, descriptors, working
// directory. Source: clone(2), kcmp(2).
//
// Thread-safety: free functions; the processes must stand still.
#pragma once

#include <sys/types.h>

#include <span>

#include "base/result.h"
#include "engine/native/frozen_task.h"

namespace baton {

// `type`: KCMP_FILES and the like.
bool Share(pid_t a, pid_t b, int type);

// kNotSupported, naming both, for what cannot be put back: descriptors and working directory may be shared with the
// parent alone, the others with nobody, and threads must share all.
Result<> CheckSharedTables(std::span<const FrozenProcess> processes);

}  // namespace baton
