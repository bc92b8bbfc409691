// What lies in the queue of a UNIX socket, read without taking it out.
//
// While it is read the socket's SO_PEEK_OFF is another one than the program's; it is put back on every way out.
// Sources: socket(7) SO_PEEK_OFF, unix(7), net/unix/af_unix.c. Thread-safe: free functions without state.
#pragma once

#include <sys/socket.h>
#include <sys/un.h>

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"

namespace baton {

// A datagram; or a part of a stream that can be read at once.
struct QueuedMessage {
  std::string content;
  std::vector<UniqueFd> files;
  std::optional<ucred> credentials;  // in our numbers; only if the socket has SO_PASSCRED
  std::string sender;                // as in sun_path, without a closing NUL; empty without a name
};

// `fd` is a socket of `type` (SOCK_*) that nobody uses meanwhile. kNotSupported for urgent data; kUnavailable if we
// have too many descriptors open to look at those in the queue.
Result<std::vector<QueuedMessage>> PeekUnixQueue(int fd, int type);

// sun_path of an address of `length` bytes, without the closing NUL of a path.
std::string UnixNameOf(const sockaddr_un& address, socklen_t length);

}  // namespace baton
