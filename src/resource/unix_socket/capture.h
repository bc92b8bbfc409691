// One UNIX socket of the unit as a record: its state from sock_diag, its queue, its name and options.
//
// Thread-safety: the tracer's thread.
#pragma once

#include "base/result.h"
#include "resource/kind.h"
#include "resource/unix_socket/queue.h"
#include "resource/unix_socket/unix_socket.pb.h"

namespace baton {

using UnixQueue = std::vector<PeekedMessage>;
// What lies in the socket's queue. It is looked at once in a capture, since the kernel shows an empty message only
// once.
Result<const UnixQueue*> QueueOf(const FdFacts& file, const CaptureContext& context);

// kNotSupported for what cannot be saved: an end outside the unit, data in a connection that nobody has accepted yet.
Result<pb::UnixSocketPayload> CaptureUnixSocket(const FdFacts& file, const CaptureContext& context);

}  // namespace baton
