// Options of IPv4 and IPv6 sockets, TCP and UDP: rules for socket_options.h.
//
// Sources: ip(7), ipv6(7), tcp(7), udp(7). Thread-safe.
#pragma once

#include <span>

#include "resource/common/socket_options.h"

namespace baton {

std::span<const OptionRule> TcpOptions();
// Of UDP, ICMP and raw sockets.
std::span<const OptionRule> DatagramOptions();

}  // namespace baton
