// Packets on the socket between a worker and its keepers: a SOCK_SEQPACKET socket, one message of keeper_link.proto a
// packet, with its version.
//
// Thread-safety: free functions. Errors: kUnavailable where the other side is gone, or does not read for now; kCorrupt
// for bytes that are no message, kNotSupported for another version.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "base/result.h"
#include "base/unique_fd.h"
#include "pool/wire/keeper_link.pb.h"

namespace baton {

// A listening socket at `path`, of `user` and for that user only (0600); what is left of an older one is replaced. Only
// root can make one of another user.
Result<UniqueFd> ListenForKeepers(const std::string& path, uid_t user);
// The next keeper that connects, none if there is none now. Processes of another user than `user` are hung up on (but
// not root's).
Result<std::optional<UniqueFd>> AcceptKeeper(int listener, uid_t user);
Result<UniqueFd> ConnectToWorker(const std::string& path);

Result<> SendPacket(int fd, pb::FromKeeper message);
Result<> SendPacket(int fd, pb::ToKeeper message);
// Nothing if nothing has come; neither call waits.
Result<std::optional<pb::FromKeeper>> ReceiveFromKeeper(int fd);
Result<std::optional<pb::ToKeeper>> ReceiveToKeeper(int fd);

}  // namespace baton
