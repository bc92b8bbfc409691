// One TCP socket of the unit as a record.
//
// Thread-safety: the tracer's thread.
#pragma once

#include "base/result.h"
#include "resource/kind.h"
#include "resource/tcp_socket/tcp_socket.pb.h"

namespace baton {

// Is this a TCP socket?
bool IsTcpSocket(const FdFacts& file);

// kNotSupported for what cannot be saved: an end outside the unit, a connection that is being set up; kUnavailable for
// what passes: a connection that waits to be accepted and has bytes in it, more bytes under way than can be seen.
Result<pb::TcpSocketPayload> CaptureTcpSocket(const FdFacts& file, const CaptureContext& context);

}  // namespace baton
