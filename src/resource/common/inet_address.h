// Addresses of IPv4 and IPv6 sockets as records keep them: the bytes of a sockaddr_in or sockaddr_in6.
//
// Thread-safe: free functions without state.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace baton {

// By getsockname and getpeername; empty if there is none (not bound at all, not connected).
std::string LocalInetAddress(int fd);
std::string RemoteInetAddress(int fd);

// Whether these are the bytes of an address of `domain` (AF_INET or AF_INET6).
bool IsInetAddress(std::string_view address, uint32_t domain);
// 0 if it has none. REQUIRES: IsInetAddress.
uint16_t PortOf(std::string_view address);
// Is it 0.0.0.0 or ::? REQUIRES: IsInetAddress.
bool IsAnyAddress(std::string_view address);
// "127.0.0.1:80", "[::1]:80"; an IPv4 address is the same in both domains. "?" if it is none.
std::string ShowInetAddress(std::string_view address);
// The address with another port. REQUIRES: IsInetAddress.
std::string WithPort(std::string_view address, uint16_t port);

// An IPv4 address in the form that sockets of `domain` use: ::ffff:1.2.3.4, or not. Others stay as they are.
std::string InDomain(const std::string& address, uint32_t domain);

// bind(2) and connect(2) on a descriptor of ours; the error names the address. kConflict where it is taken.
Result<> BindTo(int fd, std::string_view address);
Result<> ConnectTo(int fd, std::string_view address);

}  // namespace baton
