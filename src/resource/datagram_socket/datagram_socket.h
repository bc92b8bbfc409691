// Sockets for datagrams over IPv4 and IPv6: UDP, UDP-Lite, ICMP ("ping") and, for root, raw ones. Addresses, options,
// multicast groups; what waits in the queue of a UDP socket. What waits in others is dropped, as the network may do.
//
// Sources: MSG_PEEK with SO_PEEK_OFF on copies of the descriptors; udp(7), raw(7), net/ipv4/udp.c.
#pragma once

#include <memory>

#include "resource/kind.h"

namespace baton {

std::unique_ptr<ResourceKind> MakeDatagramSocketKind();

}  // namespace baton
