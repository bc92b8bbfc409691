// InitChannel: one end of the socket pair between the keeper and a capsule's init; sends and receives whole messages.
//
// A packet holds one serialised message of at most 64 KiB. A larger one (a command with a huge environment) is put into
// a memory file that goes along with an empty packet, because a packet may not be larger than the socket's buffer.
// Every received packet says who sent it, in the process numbers of the receiver: the kernel translates credentials
// between pid namespaces, which is how the keeper learns the numbers of processes inside.
//
// Thread-safety: none; one thread uses an end. Errors: kUnavailable from Receive when the other end is gone; kIo for
// system calls; kCorrupt for a packet that is no message.
#pragma once

#include <google/protobuf/message_lite.h>
#include <sys/types.h>

#include <optional>
#include <string>
#include <utility>

#include "base/result.h"
#include "base/unique_fd.h"

namespace baton {

inline constexpr uint32_t kInitProtocolVersion = 1;

class InitChannel {
 public:
  explicit InitChannel(UniqueFd socket) : socket_(std::move(socket)) {}

  // Two connected ends: first the keeper's (which receives credentials), then init's.
  static Result<std::pair<InitChannel, InitChannel>> Pair();

  int fd() const { return socket_.get(); }
  // Gives the socket up.
  UniqueFd Release() && { return std::move(socket_); }

  // Blocks until the packet is taken. `about_pid`: the process named in the packet's credentials instead of the sender,
  // in the sender's numbers; needs CAP_SYS_ADMIN over the sender's pid namespace.
  Result<> Send(const google::protobuf::MessageLite& message, std::optional<pid_t> about_pid = std::nullopt);

  struct Received {
    std::string bytes;
    pid_t pid = 0;  // from the credentials, in the receiver's numbers; 0 without credentials
  };
  // Blocks for one packet; nullopt if `nonblocking` and there is none. kUnavailable once the other end is closed.
  Result<std::optional<Received>> Receive(bool nonblocking);

 private:
  UniqueFd socket_;
};

}  // namespace baton
