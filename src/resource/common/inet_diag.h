// Who has the other end of a connection, by the kernel's word. Open to ordinary users.
//
// Sources: sock_diag(7), <linux/inet_diag.h>. Thread-safe: free functions without state.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/result.h"

namespace baton {

struct InetDiag {
  uint32_t inode = 0;  // 0: no process has it any more
  uint8_t state = 0;   // TCP_ESTABLISHED, ...
};

// The TCP socket with these addresses (inet_address.h), in the network namespace of process `host_pid`. None if there
// is none on this machine.
Result<std::optional<InetDiag>> FindTcpSocket(pid_t host_pid, std::string_view local, std::string_view remote);

// Whether a connection that has ended, or that nobody has any more, still holds the port of `local`.
Result<bool> IsHeldByEndedConnection(pid_t host_pid, std::string_view local);

}  // namespace baton
