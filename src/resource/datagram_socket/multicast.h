// The multicast groups of a socket. The kernel lists those of an interface, and tells of each whether a socket is in
// it.
//
// Sources: /proc/PID/net/igmp and igmp6, MCAST_MSFILTER (RFC 3678). Thread-safe: free functions without state.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "resource/datagram_socket/datagram_socket.pb.h"

namespace baton {

// A group of an interface.
struct InterfaceGroup {
  uint32_t interface = 0;  // its number
  std::string interface_name;
  std::string group;  // sockaddr_in or sockaddr_in6
};

// /proc/net/igmp and /proc/net/igmp6. kCorrupt, quoting the line.
Result<std::vector<InterfaceGroup>> ParseIgmp(std::string_view text);
Result<std::vector<InterfaceGroup>> ParseIgmp6(std::string_view text);

// The groups of `fd`, a copy of a socket of process `host_pid`.
Result<std::vector<pb::MulticastGroup>> CaptureGroups(pid_t host_pid, int fd, uint32_t domain);
// Whether the addresses in it are some.
bool IsMulticastGroup(const pb::MulticastGroup& group, uint32_t domain);
// kNotFound if there is no interface of that name.
Result<> JoinGroup(const pb::MulticastGroup& group, uint32_t domain, int fd);

}  // namespace baton
