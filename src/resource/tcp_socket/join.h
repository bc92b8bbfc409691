// Two TCP sockets connected to each other, between given addresses of this machine.
//
// Thread-safety: the tracer's thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/result.h"
#include "resource/common/remote_sockets.h"
#include "resource/common/socket_options.pb.h"
#include "resource/kind.h"

namespace baton {

struct TcpEnd {
  int fd = -1;  // the number in the holder that it gets
  uint32_t domain = 0;
  std::string address;                         // inet_address.h; empty: any
  const pb::SocketOptions* options = nullptr;  // those that are set first; nullptr: none
};

// kConflict, kUnavailable: an address is taken, or not of this
// machine. Where a former connection holds one, this waits until it is free: a minute at most.
Result<> JoinTcp(const TcpEnd& a, const TcpEnd& b, RestoreContext& context);

// The options that matter for what follows. `own_fd` is a descriptor of ours.
Result<> SetBeforeBind(const pb::SocketOptions& options, int own_fd);

// Binds, and listens with `backlog` if there is one; else connects if `remote` is not empty. Waits in the same way. The
// socket's own SO_REUSEADDR is to be set afterwards.
Result<> BindAgain(int own_fd, const std::string& address, std::optional<int> backlog, const std::string& remote,
                   RestoreContext& context);

}  // namespace baton
