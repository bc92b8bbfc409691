// TCP sockets over IPv4 and IPv6: not connected, listening, and connections whose two ends are in the unit, with the
// bytes under way both ways, halves shut down and ends closed; options. A connection is made anew between the same
// addresses: its sequence numbers and measurements are others.
//
// Sources: TCP_INFO, MSG_PEEK, SIOCINQ and SIOCOUTQ on copies of the descriptors, sock_diag(7); tcp(7).
#pragma once

#include <memory>

#include "resource/kind.h"

namespace baton {

std::unique_ptr<ResourceKind> MakeTcpSocketKind();

}  // namespace baton
