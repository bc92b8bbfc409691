// Makes the UNIX sockets of a unit again, together: connections, names, queues.
//
// Thread-safety: the tracer's thread.
#pragma once

#include "base/result.h"
#include "resource/kind.h"
#include "resource/unix_socket/member.h"

namespace baton {

// REQUIRES: every message is valid by itself; `fd` is a fresh socket in the holder, which may be replaced.
Result<> RestoreUnixSockets(UnixMembers& members, RestoreContext& context);

}  // namespace baton
