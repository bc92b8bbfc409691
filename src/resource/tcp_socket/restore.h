// Makes the TCP sockets of a unit again, together. Connections are made anew between the same addresses, and the bytes
// that were under way are sent again; sequence numbers are others.
//
// Thread-safety: the tracer's thread.
#pragma once

#include <cstdint>
#include <map>

#include "base/result.h"
#include "resource/kind.h"
#include "resource/tcp_socket/tcp_socket.pb.h"

namespace baton {

struct TcpMember {
  pb::TcpSocketPayload message;
  int fd = -1;  // in the holder: a fresh socket, which may be replaced
};
using TcpMembers = std::map<uint32_t, TcpMember>;  // by open file

// REQUIRES: every message is valid by itself. kConflict, kUnavailable: an address is taken, or not of this machine.
Result<> RestoreTcpSockets(TcpMembers& members, RestoreContext& context);

}  // namespace baton
