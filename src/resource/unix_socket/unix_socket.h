// UNIX sockets (unix(7)): stream, datagram and seqpacket, alone, connected, listening; what lies in their queues, with
// descriptors and credentials; connections that wait to be accepted; names, shutdown halves, options, SO_PEERCRED.
// Both ends must be in the unit; only a datagram socket with a name may be outside.
//
// Sources: sock_diag(7), MSG_PEEK with SO_PEEK_OFF on copies of the descriptors; unix(7), net/unix/af_unix.c.
#pragma once

#include <memory>

#include "resource/kind.h"

namespace baton {

std::unique_ptr<ResourceKind> MakeUnixSocketKind();

}  // namespace baton
