// What a fresh start and a resume have in common.
//
// Thread-safety: free functions.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "base/result.h"
#include "capsule/capsule_options.h"
#include "keeper/job_log.h"
#include "keeper/job_port.h"
#include "keeper/paths.h"
#include "keeper/run_record.pb.h"
#include "keeper/shared_memory_dir.h"

namespace baton {

// The capsule in which a job runs, with the log as its output.
CapsuleOptions CapsuleOptionsFor(const StatePaths& paths, const pb::RunRecord& record, const JobLog& log);
// Where it meets its keeper, if it does so; its capsule shows it.
Result<std::optional<JobPort>> OpenPort(const StatePaths& paths, const pb::RunRecord& record);
// A private /dev/shm for a job that has one, noted in the record.
Result<std::optional<SharedMemoryDir>> MakeSharedMemory(pb::RunRecord* record);
// Notes this process as keeper and `init_pid` as the capsule's init, and the boot they belong to.
Result<> NoteOwners(pb::RunRecord* record, pid_t init_pid);
// Takes back what RunLock::Take made for a run that is not there.
void RemoveEmptyRun(const StatePaths& paths, const std::string& name);

}  // namespace baton
