// Messages in the queue of a socket, read without taking them out.
//
// While they are read the socket's SO_PEEK_OFF is another one than the program's; it is put back on every way out.
// Sources: socket(7) SO_PEEK_OFF, cmsg(3), net/core/datagram.c. Thread-safe: free functions without state.
#pragma once

#include <sys/socket.h>

#include <cstddef>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"

namespace baton {

struct PeekedMessage {
  std::string content;
  std::vector<UniqueFd> files;       // SCM_RIGHTS
  std::optional<ucred> credentials;  // SCM_CREDENTIALS, in our numbers; none from nobody
  std::string sender;                // the bytes of its address
};

// Where a look begins, counted in bytes of the queue; what the program had set comes back with the destructor.
class PeekOffset {
 public:
  // At the beginning.
  static Result<PeekOffset> Begin(int fd);
  PeekOffset(PeekOffset&& other) noexcept : fd_(std::exchange(other.fd_, -1)), before_(other.before_) {}
  PeekOffset& operator=(PeekOffset&&) = delete;
  ~PeekOffset();
  Result<> Set(size_t to);

 private:
  PeekOffset(int fd, int before) : fd_(fd), before_(before) {}
  int fd_;
  int before_;
};

// The next message, or part of a stream, of at most `room` bytes; none at the queue's end. `length` is what the kernel
// says, which for a message is the whole. kUnavailable if we have too many descriptors open for those in it.
Result<std::optional<PeekedMessage>> PeekNext(int fd, size_t room, size_t& length);

// All messages of a socket that keeps their boundaries. `max_bytes`: none is longer; 0: not known, and the socket's
// SO_PEEK_OFF is moved by what was read only (UNIX sockets).
Result<std::vector<PeekedMessage>> PeekMessages(int fd, size_t max_bytes);

}  // namespace baton
