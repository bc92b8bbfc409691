// Seccomp of threads: strict mode, and filters. While a task is held by us its seccomp is suspended, so that it sees
// none of our system calls; it is back at once when the task is let go, or when we die. Source: seccomp(2), ptrace(2).
//
// Thread-safety: the tracer's thread.
#pragma once

#include <sys/types.h>

#include <memory>
#include <vector>

#include "base/result.h"
#include "engine/native/native.pb.h"
#include "proc/status.h"
#include "task/blank_task.h"

namespace baton {

// Nothing for a task without seccomp. kNotSupported, naming it, if this user may not suspend it, or if a filter cannot
// be saved: one that asks a supervisor (SECCOMP_RET_USER_NOTIF).
Result<> SuspendSeccomp(const ProcStatus& status, pid_t tid);

// Fills in the thread's mode and filters, and the process' list of them. REQUIRES: SuspendSeccomp.
Result<> CaptureSeccomp(const ProcStatus& status, pid_t tid, pb::ProcessRecord& process, pb::ThreadRecord& thread);

// Installs what the threads had, suspended. Filters that all threads begin with are one for all afterwards too, so that
// SECCOMP_FILTER_FLAG_TSYNC goes on working. REQUIRES: the threads have all capabilities still. kNotSupported if this
// user may not suspend seccomp.
Result<> RestoreSeccomp(const std::vector<std::unique_ptr<BlankTask>>& threads, const pb::ProcessRecord& process);

}  // namespace baton
