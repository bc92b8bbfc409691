// Job-control stops: whether a stopped child's stop was already waited for by its parent, and stopping it again.
// Sources: waitid(2), ptrace(2) "Group-stop", kernel/exit.c wait_task_stopped().
#pragma once

#include <memory>
#include <vector>

#include "base/result.h"
#include "engine/native/native.pb.h"
#include "task/blank_task.h"
#include "task/remote_syscalls.h"

namespace baton {

// Fills in stop_taken of `child`, a stopped child of the process in which `parent` makes calls.
Result<> CaptureStopTaken(RemoteSyscalls& parent, pb::ProcessRecord& child);

// Stops a process whose threads are finished and parked: the parent gets SIGCHLD. The stop outlives the detaching.
Result<> StopAgain(const std::vector<std::unique_ptr<BlankTask>>& threads, const pb::ProcessRecord& record);

// In the parent: waits for the stop of `child`, if the parent had done so before.
Result<> TakeStopAgain(RemoteSyscalls& parent, const pb::ProcessRecord& child);

}  // namespace baton
