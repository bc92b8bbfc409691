// Attaches a process's System V shared memory at its places.
#pragma once

#include <cstdint>
#include <map>

#include "base/result.h"
#include "engine/native/native.pb.h"
#include "task/remote_syscalls.h"

namespace baton {

// All mappings of the process with backing SYSV: those that came from one shmat(2) come from one again, as shmdt(2)
// needs it, also where the program has unmapped parts or protected some otherwise. `segment_bytes`: by id, in whole
// pages. REQUIRES: the segments are there, and nothing else is at these places. Arguments are reset.
Result<> AttachSysv(RemoteSyscalls& calls, const pb::ProcessRecord& process,
                    const std::map<uint64_t, uint64_t>& segment_bytes);

}  // namespace baton
