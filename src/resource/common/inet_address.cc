#include "resource/common/inet_address.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace baton {
namespace {

using NameCall = int (*)(int, sockaddr*, socklen_t*);

std::string AddressBy(NameCall call, int fd) {
  sockaddr_storage address{};
  socklen_t length = sizeof address;
  if (call(fd, reinterpret_cast<sockaddr*>(&address), &length) != 0) return {};
  std::string bytes(reinterpret_cast<const char*>(&address), std::min<size_t>(length, sizeof address));
  if (!IsInetAddress(bytes, address.ss_family)) return {};
  return PortOf(bytes) == 0 && IsAnyAddress(bytes) ? std::string() : bytes;
}

template <typename T>
T As(std::string_view address) {
  T value{};
  std::memcpy(&value, address.data(), std::min(sizeof value, address.size()));
  return value;
}

uint32_t DomainOf(std::string_view address) {
  if (IsInetAddress(address, AF_INET)) return AF_INET;
  return IsInetAddress(address, AF_INET6) ? AF_INET6 : AF_UNSPEC;
}

std::string ShowV6(const sockaddr_in6& address) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  const auto port = ntohs(address.sin6_port);
  if (IN6_IS_ADDR_V4MAPPED(&address.sin6_addr)) {
    inet_ntop(AF_INET, &address.sin6_addr.s6_addr[12], text.data(), text.size());
    return fmt::format("{}:{}", text.data(), port);
  }
  inet_ntop(AF_INET6, &address.sin6_addr, text.data(), text.size());
  return fmt::format("[{}]:{}", text.data(), port);
}

Error CallError(int error, std::string_view call, std::string_view address) {
  if (error == EADDRINUSE) {
    return ErrnoError(error, "{} {}: the address is taken by another program", call, ShowInetAddress(address));
  }
  if (error == EADDRNOTAVAIL) {
    return ErrnoError(error, "{} {}: this machine does not have the address", call, ShowInetAddress(address));
  }
  return ErrnoError(error, "{} {}", call, ShowInetAddress(address));
}

}  // namespace

std::string LocalInetAddress(int fd) { return AddressBy(getsockname, fd); }
std::string RemoteInetAddress(int fd) { return AddressBy(getpeername, fd); }

bool IsInetAddress(std::string_view address, uint32_t domain) {
  const size_t size = domain == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
  if (address.size() != size || (domain != AF_INET && domain != AF_INET6)) return false;
  return As<sa_family_t>(address) == domain;
}

uint16_t PortOf(std::string_view address) {
  // At the same place in both.
  return ntohs(As<sockaddr_in>(address).sin_port);
}

bool IsAnyAddress(std::string_view address) {
  if (DomainOf(address) == AF_INET) return As<sockaddr_in>(address).sin_addr.s_addr == INADDR_ANY;
  const auto v6 = As<sockaddr_in6>(address);
  return IN6_IS_ADDR_UNSPECIFIED(&v6.sin6_addr);
}

std::string ShowInetAddress(std::string_view address) {
  switch (DomainOf(address)) {
    case AF_INET: {
      const auto v4 = As<sockaddr_in>(address);
      std::array<char, INET_ADDRSTRLEN> text{};
      inet_ntop(AF_INET, &v4.sin_addr, text.data(), text.size());
      return fmt::format("{}:{}", text.data(), ntohs(v4.sin_port));
    }
    case AF_INET6:
      return ShowV6(As<sockaddr_in6>(address));
    default:
      return "?";
  }
}

std::string WithPort(std::string_view address, uint16_t port) {
  std::string changed(address);
  const uint16_t network = htons(port);
  std::memcpy(changed.data() + offsetof(sockaddr_in, sin_port), &network, sizeof network);
  return changed;
}

std::string InDomain(const std::string& address, uint32_t domain) {
  constexpr size_t kPrefix = 12;  // ::ffff:
  if (IsInetAddress(address, domain) || address.empty()) return address;
  if (domain == AF_INET) {
    sockaddr_in6 v6{};
    std::memcpy(&v6, address.data(), std::min(sizeof v6, address.size()));
    sockaddr_in v4{};
    v4.sin_family = AF_INET;
    v4.sin_port = v6.sin6_port;
    std::memcpy(&v4.sin_addr, v6.sin6_addr.s6_addr + kPrefix, sizeof v4.sin_addr);
    return {reinterpret_cast<const char*>(&v4), sizeof v4};
  }
  sockaddr_in v4{};
  std::memcpy(&v4, address.data(), std::min(sizeof v4, address.size()));
  sockaddr_in6 v6{};
  v6.sin6_family = AF_INET6;
  v6.sin6_port = v4.sin_port;
  v6.sin6_addr.s6_addr[kPrefix - 2] = v6.sin6_addr.s6_addr[kPrefix - 1] = UINT8_MAX;
  std::memcpy(v6.sin6_addr.s6_addr + kPrefix, &v4.sin_addr, sizeof v4.sin_addr);
  return {reinterpret_cast<const char*>(&v6), sizeof v6};
}

Result<> BindTo(int fd, std::string_view address) {
  const int bound = bind(fd, reinterpret_cast<const sockaddr*>(address.data()), static_cast<socklen_t>(address.size()));
  if (const int error = errno; bound != 0) return CallError(error, "bind", address);
  return {};
}

Result<> ConnectTo(int fd, std::string_view address) {
  const int connected =
      connect(fd, reinterpret_cast<const sockaddr*>(address.data()), static_cast<socklen_t>(address.size()));
  if (const int error = errno; connected != 0 && error != EINPROGRESS) return CallError(error, "connect", address);
  return {};
}

}  // namespace baton
