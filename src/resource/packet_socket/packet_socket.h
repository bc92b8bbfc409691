// Packet sockets (packet(7)), for root: protocol, interface, memberships, filter, options. What waits in one is
// dropped, as the kernel does when a program is slow. Those with a ring of shared memory, or in a fanout group, are
// refused.
//
// Sources: sock_diag(7), <linux/packet_diag.h>, net/packet/af_packet.c.
#pragma once

#include <memory>

#include "resource/kind.h"

namespace baton {

std::unique_ptr<ResourceKind> MakePacketSocketKind();

}  // namespace baton
