// Addresses of UNIX sockets by path, however long the path is.
//
// Thread-safety: free functions. Errors: kInvalidArgument for a name that is too long by itself.
#pragma once

#include <sys/un.h>

#include <optional>
#include <string>

#include "base/result.h"
#include "base/unique_fd.h"

namespace baton {

struct SocketAddress {
  sockaddr_un address{};
  std::optional<UniqueFd> directory;  // what the address speaks of: needed as long as it is used
};

Result<SocketAddress> AddressOfSocket(const std::string& path);

}  // namespace baton
