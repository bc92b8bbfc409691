// Putting a process' descriptors in place, fetched from the holder.
#pragma once

#include "base/result.h"
#include "engine/native/holder.h"
#include "engine/native/native.pb.h"
#include "task/blank_task.h"

namespace baton {

// REQUIRES: the process has no descriptors and its memory is in place.
Result<> RestoreDescriptors(BlankTask& task, const pb::ProcessRecord& process, const Holder& holder);

// Where RestoreDescriptors leaves an executable that no path leads to (ProcessRecord.removed_exe).
int DescriptorOfRemovedExe(const pb::ProcessRecord& process);

}  // namespace baton
