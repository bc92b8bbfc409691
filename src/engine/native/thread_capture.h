// What belongs to one thread, and what only the process itself can tell (signal actions, timers, clocks), read by
// system calls in a borrowed thread. Everything asked here has no side effect.
#pragma once

#include <sys/types.h>

#include "base/result.h"
#include "engine/native/call_memory.h"
#include "engine/native/frozen_task.h"
#include "engine/native/native.pb.h"
#include "proc/status.h"
#include "task/borrowed_task.h"

namespace baton {

// Registers, masks, pending signals, scheduling: all that can be read from outside.
Result<pb::ThreadRecord> CaptureThread(const FrozenProcess& process, const FrozenTask& task, CallMemory& memory);

// What is left of a first thread that has ended while others go on.
Result<pb::ThreadRecord> DescribeExitedLeader(pid_t pid);

// The rest of the thread, by calls in it.
Result<> CaptureInsideThread(RemoteSyscalls& calls, pb::ThreadRecord& record);

// What the leader tells about its process: signal actions, interval and POSIX timers, prctl values.
Result<> CaptureInsideProcess(RemoteSyscalls& calls, pid_t host_pid, pb::ProcessRecord& record);

// Whether mlockall(2) holds for mappings to come. `before`: the leader's status before anything was mapped by us.
Result<> CaptureLocksOfFuture(RemoteSyscalls& calls, pid_t host_pid, const ProcStatus& before,
                              pb::ProcessRecord& record);

// The clocks as the unit reads them.
Result<> CaptureClocks(RemoteSyscalls& calls, pb::UnitRecord& record);

// The borrowing of one frozen thread.
Result<BorrowedTask::Thread> DescribeForBorrowing(const ProcStatus& leader, const ProcStatus& thread,
                                                  const FrozenTask& task);

}  // namespace baton
