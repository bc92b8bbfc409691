// One frozen process: everything about it that is read from outside. Nothing here changes it; its seccomp is suspended.
#pragma once

#include <sys/types.h>

#include <vector>

#include "base/result.h"
#include "engine/native/frozen_task.h"
#include "engine/native/memory_map.h"
#include "engine/native/native.pb.h"

namespace baton {

// kNotSupported, naming the process, for what cannot be saved: 32-bit tasks, other namespaces than
// those of `root_tid`, shared address spaces or descriptor tables with another process.
Result<> CheckProcess(const FrozenProcess& process, pid_t root_tid);

// Identity, directories, limits, credentials, layout, mappings; of a zombie only identity and exit status.
Result<pb::ProcessRecord> CaptureProcess(const FrozenProcess& process, MappingFlags& flags);

}  // namespace baton
