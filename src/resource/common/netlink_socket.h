// A netlink socket about the network namespace of a process of the unit, and the plain exchange on it.
//
// Source: netlink(7), sock_diag(7). Thread-safe: free functions without state.
#pragma once

#include <linux/netlink.h>
#include <sys/types.h>

#include <cstddef>
#include <functional>
#include <span>

#include "base/result.h"
#include "base/unique_fd.h"

namespace baton {

// A socket for NETLINK_SOCK_DIAG in the network namespace of `host_pid`. kNotSupported if we may not enter it.
Result<UniqueFd> OpenSockDiag(pid_t host_pid);

// Sends `request` (a whole message with its header) and gives every message of the answer's own kind to `take`.
// The answer's error as ErrnoError.
Result<> AskNetlink(int socket, std::span<const std::byte> request,
                    const std::function<Result<>(const nlmsghdr&)>& take);

}  // namespace baton
