// Makes the datagram sockets of a unit again, together: a datagram that waits is sent again, by the socket that sent it
// if that is one of the unit's.
//
// Thread-safety: the tracer's thread.
#pragma once

#include <cstdint>
#include <map>

#include "base/result.h"
#include "resource/datagram_socket/datagram_socket.pb.h"
#include "resource/kind.h"

namespace baton {

struct DatagramMember {
  pb::DatagramSocketPayload message;
  int fd = -1;  // in the holder
};
using DatagramMembers = std::map<uint32_t, DatagramMember>;  // by open file

// REQUIRES: every message is valid by itself. kConflict if an address is taken. A datagram whose sender's address is
// not of this machine, or taken by now, is dropped, as the network may do; a line in the log says so.
Result<> RestoreDatagramSockets(DatagramMembers& members, RestoreContext& context);

}  // namespace baton
