// Locks of an open file: flock(2), of the open file (F_OFD_SETLK) and of processes (F_SETLK), and leases (F_SETLEASE).
//
// fdinfo of a descriptor shows the locks that were taken through its open file and belong to it or to the process
// ("lock:" lines; fs/locks.c show_fd_locks); so those of a process are found through the process itself.
#pragma once

#include <string_view>
#include <vector>

#include "base/result.h"
#include "resource/file/file.pb.h"
#include "resource/kind.h"

namespace baton {

// The value of a "lock" line: "1: POSIX  ADVISORY  WRITE 4242 fe:00:1234 0 EOF". `ns_pid` is the owner of PROCESS
// locks. A lease that is broken to nothing is taken for a read lease: its line does not say. kCorrupt, quoting the
// line, if it cannot be understood; kNotSupported for a delegation (of a file server).
Result<pb::FileLock> ParseLock(std::string_view line, pid_t ns_pid);

// All locks taken through the open file, by whichever of its users. Errors: of ParseLock and ReadFdInfo.
Result<std::vector<pb::FileLock>> GatherLocks(const FdFacts& file);

// Takes the locks of the open file itself in the holder. kConflict if somebody else has one by now.
Result<> TakeOwnLocks(const pb::FilePayload& file, int fd, RemoteSyscalls& holder);
// Takes the lease on the open file, in the first of its users, and breaks it as far as it was. REQUIRES: nobody opens
// the file any more. kConflict if others have it open.
Result<> TakeLease(const pb::FilePayload& file, std::span<const FdUser> users, ArmContext& context);

// Takes those of the processes, in them.
Result<> TakeProcessLocks(const pb::FilePayload& file, std::span<const FdUser> users, ArmContext& context);

}  // namespace baton
