// One frozen process: everything about it that is read from outside. Nothing here changes it; its seccomp is suspended.
#pragma once

#include <sys/types.h>

#include <vector>

#include "base/result.h"
#include "engine/native/frozen_task.h"
#include "engine/native/memory_map.h"
#include "engine/native/native.pb.h"
#include "tree/tree_node.h"

namespace baton {

// kNotSupported, naming the process, for what cannot be saved: 32-bit tasks, other namespaces than
// those of `root_tid`, a vfork in progress.
Result<> CheckProcess(const FrozenProcess& process, pid_t root_tid);

// Identity, directories, limits, credentials, layout; of a zombie only identity and exit status.
Result<pb::ProcessRecord> CaptureProcess(const FrozenProcess& process);
Result<> CaptureMappings(const FrozenProcess& process, MappingFlags& flags, pb::ProcessRecord& record);
// Its directories; `tables` as SharedTables has them.
Result<pb::ApartThreadRecord> CaptureApartThread(pid_t pid, pid_t tid, const Tables& tables);

}  // namespace baton
