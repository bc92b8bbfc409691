// User and group numbers, capabilities and securebits of processes, and of threads that have their own.
// Sources: credentials(7), capabilities(7).
#pragma once

#include "base/result.h"
#include "engine/native/native.pb.h"
#include "proc/status.h"
#include "task/blank_task.h"

namespace baton {

// All but the securebits, which only the process itself can tell.
pb::CredentialsRecord CredentialsOf(const ProcStatus& status);

// Fills in the thread's credentials if they are not the process'. REQUIRES: those of `process` are complete.
void CaptureOwnCredentials(const ProcStatus& status, const pb::ProcessRecord& process, pb::ThreadRecord& thread);

// Name, alternate stack, robust list, restartable sequences, scheduling.
Result<> RestoreInsideThread(BlankTask& thread, const pb::ThreadRecord& record);
// The user that logged in, for the audit log. REQUIRES: no other thread has been made.
Result<> RestoreLoginUid(BlankTask& leader, const pb::ProcessRecord& record);
Result<> RestoreActions(BlankTask& leader, const pb::ProcessRecord& record);
// Working directory (if there still is one), root directory, umask.
Result<> RestoreDirectories(BlankTask& task, const pb::ProcessRecord& record);
Result<> RestoreDirectories(BlankTask& task, const pb::ApartThreadRecord& record);
// Limits, prctl values.
Result<> RestoreInsideProcess(BlankTask& leader, const pb::ProcessRecord& record);
// Starts again the system call the freeze interrupted, with the time that was left of it, so that the kernel holds it
// as it did. What the call gave: -ERESTART_RESTARTBLOCK, or its result if it ended at once. From here on nothing that
// sleeps may be called in the thread.
Result<int64_t> RearmInterruptedCall(BlankTask& thread, const pb::InterruptedCallRecord& interrupted);
// Interval and POSIX timers: they run from here on.
Result<> RestoreTimers(BlankTask& leader, const pb::ProcessRecord& record);
// Identity, capabilities, no_new_privs, parent-death signal.
Result<> RestoreCredentials(BlankTask& thread, const pb::ProcessRecord& process, const pb::ThreadRecord& record);

}  // namespace baton
