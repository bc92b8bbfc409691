#include "resource/tcp_socket/restore.h"

#include <fcntl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "resource/common/inet_options.h"
#include "resource/common/socket_options.h"
#include "resource/tcp_socket/flight.h"
#include "resource/tcp_socket/join.h"

namespace baton {
namespace {

using Payload = pb::TcpSocketPayload;

constexpr size_t kSpareRoom = size_t{64} << 10;

class Restorer {
 public:
  Restorer(TcpMembers& members, RestoreContext& context) : members_(members), context_(context) {}

  // Connections come before listening sockets, so that nobody from outside connects meanwhile, and none of ours is
  // taken for one of those.
  Result<> Run() {
    BATON_CHECKED(ForEach(&Restorer::Join));
    BATON_CHECKED(ForEach(&Restorer::Bind));
    BATON_CHECKED(ForEach(&Restorer::Queue));
    return ForEach(&Restorer::Finish);
  }

 private:
  Result<> ForEach(Result<> (Restorer::*step)(uint32_t, TcpMember&)) {
    for (auto& [id, member] : members_) {
      if (auto done = (this->*step)(id, member); !done) return done.Fail("open file {}", id);
    }
    return {};
  }

  static TcpEnd EndOf(const TcpMember& member) {
    return {member.fd, member.message.domain(), member.message.local(), &member.message.options()};
  }

  Result<> Join(uint32_t id, TcpMember& member) {
    if (member.message.state() == Payload::PEER_GONE) return JoinGone(member);
    if (member.message.state() != Payload::CONNECTED || member.message.peer() < id) return {};
    const auto found = members_.find(member.message.peer());
    if (found == members_.end() || found->second.message.peer() != id ||
        found->second.message.state() != Payload::CONNECTED) {
      return MakeError(ErrorCode::kCorrupt, "is connected to {}, which is not connected to it", member.message.peer());
    }
    TcpMember& peer = found->second;
    BATON_CHECKED(JoinTcp(EndOf(member), EndOf(peer), context_));
    BATON_TRY(const UniqueFd one, context_.CopyFromHolder(member.fd));
    BATON_TRY(const UniqueFd other, context_.CopyFromHolder(peer.fd));
    BATON_CHECKED(Fill(member, one.get(), other.get()));
    BATON_CHECKED(Fill(peer, other.get(), one.get()));
    BATON_CHECKED(ShutDown(member, one.get()));
    return ShutDown(peer, other.get());
  }

  // Another socket stands for the end that was closed, and is closed again.
  Result<> JoinGone(const TcpMember& member) {
    const Payload& message = member.message;
    RemoteSockets sockets(context_.holder());
    BATON_TRY(const int gone, sockets.Make(static_cast<int>(message.domain()), SOCK_STREAM, 0));
    const bool half = message.end() == Payload::HALF;
    TcpEnd end = EndOf(member);
    if (!half) end.address.clear();
    BATON_CHECKED(JoinTcp(end, {gone, message.domain(), half ? message.remote() : std::string(), nullptr}, context_));
    BATON_TRY(const UniqueFd own, context_.CopyFromHolder(member.fd));
    {
      BATON_TRY(const UniqueFd other, context_.CopyFromHolder(gone));
      BATON_CHECKED(Fill(member, own.get(), other.get()));
      BATON_CHECKED(ShutDown(member, own.get()));
      if (message.end() == Payload::OVER) shutdown(own.get(), SHUT_WR);
      const linger at_once{.l_onoff = 1, .l_linger = 0};
      if (message.end() == Payload::RESET) setsockopt(other.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    }
    return sockets.Close(gone);
  }

  static Result<> Fill(const TcpMember& receiver, int into, int from) {
    std::string_view rest = receiver.message.content();
    if (rest.empty()) return {};
    MakeRoomFor(into, rest.size() + kSpareRoom);
    while (!rest.empty()) {
      const ssize_t sent = send(from, rest.data(), rest.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
      const int error = errno;
      if (sent < 0 && (error != EAGAIN || AwaitDelivery(into, from) > 0)) {
        return ErrnoError(error,
                          "put {} bytes back into a TCP connection: raise the last values of net.ipv4.tcp_rmem and "
                          "net.ipv4.tcp_wmem to what they were where it was saved",
                          rest.size());
      }
      if (sent > 0) rest.remove_prefix(static_cast<size_t>(sent));
    }
    AwaitDelivery(into, from);
    return {};
  }

  static Result<> ShutDown(const TcpMember& member, int own) {
    const uint32_t halves = member.message.shutdown();
    const int done = halves == 0 ? 0 : shutdown(own, static_cast<int>(halves) - 1);
    if (const int error = errno; done != 0 && error != ENOTCONN) return ErrnoError(error, "shut a connection down");
    return {};
  }

  Result<> Bind(uint32_t, TcpMember& member) {
    const Payload& message = member.message;
    const bool listening = message.state() == Payload::LISTENING;
    if (!listening && message.state() != Payload::UNCONNECTED) return {};
    BATON_TRY(const UniqueFd own, context_.CopyFromHolder(member.fd));
    BATON_CHECKED(SetBeforeBind(message.options(), own.get()));
    const auto backlog = listening ? std::optional(static_cast<int>(message.backlog())) : std::nullopt;
    return BindAgain(own.get(), message.local(), backlog, "", context_);
  }

  // Those who wait to be accepted, in their order.
  Result<> Queue(uint32_t, TcpMember& listener) {
    for (const uint32_t id : listener.message.waiting()) {
      const auto client = members_.find(id);
      if (client == members_.end() || client->second.message.state() != Payload::WAITING) {
        return MakeError(ErrorCode::kCorrupt, "open file {} does not wait to be accepted", id);
      }
      BATON_TRY(const UniqueFd own, context_.CopyFromHolder(client->second.fd));
      const Payload& message = client->second.message;
      BATON_CHECKED(SetBeforeBind(message.options(), own.get()));
      BATON_CHECKED(BindAgain(own.get(), message.local(), std::nullopt, message.remote(), context_));
    }
    return {};
  }

  Result<> Finish(uint32_t, TcpMember& member) {
    BATON_TRY(const UniqueFd own, context_.CopyFromHolder(member.fd));
    const pb::SocketOptions& options = member.message.options();
    BATON_CHECKED(RestoreSocketOptions(options, TcpOptions(), OptionTime::kFirst, own.get()));
    BATON_CHECKED(RestoreSocketBuffers(options, own.get()));
    BATON_CHECKED(RestoreSocketOptions(options, TcpOptions(), OptionTime::kLast, own.get()));
    const int set = fcntl(own.get(), F_SETFL, static_cast<int>(member.message.flags()));
    if (const int error = errno; set != 0) return ErrnoError(error, "flags of a socket");
    return {};
  }

  TcpMembers& members_;
  RestoreContext& context_;
};

}  // namespace

Result<> RestoreTcpSockets(TcpMembers& members, RestoreContext& context) { return Restorer(members, context).Run(); }

}  // namespace baton
