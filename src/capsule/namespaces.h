// The making of a capsule, as run by its two first processes: the helper, which makes the namespaces and forks init out
// of them, and init, which makes the mounts. Both report a failed step to the keeper and end.
//
// Thread-safety: REQUIRES a process with one thread (the fresh children of Capsule::Create).
#pragma once

#include <sys/types.h>

#include "base/result.h"
#include "capsule/capsule_options.h"
#include "capsule/init_channel.h"
#include "capsule/setup_error.h"

namespace baton {

// A step that failed, with the errno it left. `user_namespace` is filled by the keeper.
using SetupResult = std::expected<void, SetupFailure>;

// The user namespace alone, with its maps.
SetupResult EnterUserNamespace();

// User namespace (if asked) with its maps, then pid, time, ipc and uts namespaces for the children to come, with the
// clock offsets. The caller's own pid namespace stays what it was.
SetupResult EnterNamespaces(const CapsuleOptions& options);

// In init: a private mount namespace, a fresh /proc, /tmp and the binds.
SetupResult MakeMounts(const CapsuleOptions& options);

// "monotonic S NS\nboottime S NS\n" as /proc/self/timens_offsets wants it: NS is never negative.
std::string ClockOffsetsText(int64_t monotonic_ns, int64_t boottime_ns);

// Tells the keeper; errors of the telling are dropped, since the keeper notices the death anyway.
void ReportSetupFailure(InitChannel* channel, const SetupFailure& failure);

}  // namespace baton
