// What lies in the queue of a UNIX socket, read without taking it out.
//
// Sources: unix(7), net/unix/af_unix.c. Thread-safe: free functions without state.
#pragma once

#include <sys/socket.h>
#include <sys/un.h>

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "resource/common/socket_peek.h"

namespace baton {

// Datagrams; or parts of a stream, each of which can be read at once. `fd` is a socket of `type` (SOCK_*) that nobody
// uses meanwhile. kNotSupported for urgent data; kUnavailable if we have too many descriptors open to look at those in
// the queue.
Result<std::vector<PeekedMessage>> PeekUnixQueue(int fd, int type);

// sun_path of an address of `length` bytes, without the closing NUL of a path.
std::string UnixNameOf(const sockaddr_un& address, socklen_t length);

// The same from the bytes of a whole address (PeekedMessage::sender).
std::string UnixNameOf(std::string_view address);

}  // namespace baton
