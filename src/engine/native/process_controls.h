// What a process has set for itself by prctl(2) and membarrier(2), beside its identity and limits.
#pragma once

#include "base/result.h"
#include "engine/native/native.pb.h"
#include "task/remote_syscalls.h"

namespace baton {

Result<> CaptureProcessControls(RemoteSyscalls& calls, pb::ProcessRecord& record);

// REQUIRES: the memory is in place (memory-deny-write-execute forbids what makes it).
Result<> RestoreProcessControls(RemoteSyscalls& calls, const pb::ProcessRecord& record);

}  // namespace baton
