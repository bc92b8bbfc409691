// The control groups that processes are in, version 1 and 2. Source: cgroups(7).
// Thread-safety: free functions.
#pragma once

#include <sys/types.h>

#include <optional>
#include <span>
#include <string>

#include "base/result.h"
#include "engine/native/native.pb.h"
#include "proc/mountinfo.h"

namespace baton {

Result<> CaptureCgroups(pid_t pid, pb::ProcessRecord& record);

// The directory of a group, by where its hierarchy is mounted; none if that is not mounted here, or not that part of
// it.
std::optional<std::string> CgroupDirectory(std::span<const MountInfo> mounts, const pb::CgroupRecord& group);

// Moves a process (`host_pid`, all its threads) where it was. A group that is gone, or that may not be joined, is
// warned of: the process stays in that of who restores it.
Result<> ReturnToCgroups(pid_t host_pid, const pb::ProcessRecord& record);

}  // namespace baton
