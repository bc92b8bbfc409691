// The owner of an open file, who gets its signals: for every kind whose files can send some (pipes, terminals,
// sockets, inotify). Sources: fcntl(2) F_GETOWN_EX, F_GETSIG, F_SETOWN_EX.
//
// Thread-safety: free functions without state.
#pragma once

#include <sys/types.h>

#include <optional>
#include <span>

#include "base/result.h"
#include "resource/common/owner.pb.h"
#include "resource/kind.h"

namespace baton {

// The number the unit uses for a process group that we see as `host_group`; it may have lost its leader. None if no
// process of the unit is in it.
std::optional<pid_t> GroupNumber(pid_t host_group, const CaptureContext& context);

// kNotSupported if the signals go to somebody outside the unit.
Result<pb::FileOwner> CaptureOwner(const FdFacts& file, const CaptureContext& context);
// kCorrupt if it cannot be.
Result<> CheckOwner(const pb::FileOwner& owner);
// For Arm: processes and groups must exist. Sets O_ASYNC last, so that no signal is sent for what has been.
Result<> RestoreOwner(const pb::FileOwner& owner, std::span<const FdUser> users, ArmContext& context);

}  // namespace baton
