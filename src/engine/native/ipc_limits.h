// Sysctls of an IPC namespace of the unit's own: the sizes and numbers that its objects may have.
//
// Sources: proc_sys_kernel(5), mq_overview(7). Thread-safety: the tracer's thread.
#pragma once

#include <sys/types.h>

#include "base/result.h"
#include "engine/native/native.pb.h"

namespace baton {

// Those of the namespace of `pid`; none if it is ours, where they are the machine's.
Result<> CaptureIpcLimits(pid_t pid, pb::UnitRecord& record);

enum class IpcLimits {
  kOfObjects,  // before there are any
  kOfOrphans,  // kernel.shm_rmid_forced: not before all that is in use is attached
};
// Puts them into the namespace of `pid`, unless it is ours. One that cannot be set stays as it is, with a warning.
Result<> RestoreIpcLimits(pid_t pid, const pb::UnitRecord& record, IpcLimits which);

}  // namespace baton
