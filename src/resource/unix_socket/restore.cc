#include "resource/unix_socket/restore.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <string>

#include "resource/common/remote_sockets.h"
#include "resource/common/socket_options.h"
#include "resource/unix_socket/fill.h"
#include "resource/unix_socket/names.h"

namespace baton {
namespace {

using Payload = pb::UnixSocketPayload;

bool IsDatagram(const UnixMember& member) { return member.message.type() == SOCK_DGRAM; }
bool HasName(const UnixMember& member) { return !member.message.name().name().empty(); }
pid_t Caller(const UnixMember& member) { return member.message.peer_credentials().pid(); }

// One of two ends that are connected.
struct End {
  int fd = -1;  // what it replaces
  pb::UnixName name;
  pid_t peer_caller = 0;  // whom it sees at the other end (SO_PEERCRED)
};

class Restorer {
 public:
  Restorer(UnixMembers& members, RestoreContext& context)
      : members_(members),
        context_(context),
        sockets_(context.holder()),
        names_(context),
        filler_(context, members, names_) {}

  // The order matters: listeners exist before those who connect to them, all exist before anything is sent (sockets may
  // be on their way in sockets), and datagram sockets take messages only from their peer once they have one.
  Result<> Run() {
    BATON_CHECKED(Listen());
    BATON_CHECKED(ForEach(&Restorer::Join));
    BATON_CHECKED(ForEach(&Restorer::JoinUnnamed));
    BATON_CHECKED(ForEach(&Restorer::Name));
    BATON_CHECKED(ForEach(&Restorer::ConnectEqual));
    BATON_CHECKED(ForEach(&Restorer::Fill));
    BATON_CHECKED(ForEach(&Restorer::ConnectDatagram));
    BATON_CHECKED(ForEach(&Restorer::Queue));
    BATON_CHECKED(filler_.Close());
    return ForEach(&Restorer::Finish);
  }

 private:
  Result<> ForEach(Result<> (Restorer::*step)(UnixMember&)) {
    for (auto& [id, member] : members_) {
      if (auto done = (this->*step)(member); !done) return done.Fail("open file {}", id);
    }
    return {};
  }

  UnixMember* PeerOf(const UnixMember& member) {
    const auto peer = members_.find(member.message.peer());
    return peer == members_.end() ? nullptr : &peer->second;
  }
  bool Mutual(const UnixMember& member) {
    const UnixMember* peer = PeerOf(member);
    return peer != nullptr && member.message.state() == Payload::CONNECTED &&
           peer->message.state() == Payload::CONNECTED && PeerOf(*peer) == &member;
  }

  Result<> Listen() {
    for (auto& [id, member] : members_) {
      if (member.message.state() != Payload::LISTENING) continue;
      BATON_CHECKED(names_.Bind(member.fd, member.message.name()));
      const int backlog = static_cast<int>(member.message.backlog());
      BATON_CHECKED(CallAs(Caller(member), member.fd, context_,
                           [&](RemoteSockets& sockets, int fd) { return sockets.Listen(fd, backlog); }));
    }
    return {};
  }

  // Connections, and pairs of datagram sockets of which one has no name to be connected by.
  Result<> Join(UnixMember& member) {
    if (member.paired) return {};
    if (member.message.state() == Payload::PEER_GONE) return JoinGone(member);
    if (member.message.state() != Payload::CONNECTED) return {};
    UnixMember* const peer = PeerOf(member);
    if (IsDatagram(member) && (!Mutual(member) || (HasName(member) && HasName(*peer)))) return {};
    if (!Mutual(member)) return MakeError(ErrorCode::kCorrupt, "is connected to {} alone", member.message.peer());
    member.paired = peer->paired = true;
    return JoinEnds(EndOf(member), EndOf(*peer), member.message.type());
  }

  Result<> JoinGone(UnixMember& member) {
    BATON_TRY(member.temporary, sockets_.Make(AF_UNIX, static_cast<int>(member.message.type()), 0));
    member.paired = true;
    End gone{member.temporary, {}, 0};
    gone.name.set_name(member.message.peer_name());
    return JoinEnds(EndOf(member), gone, member.message.type());
  }

  static End EndOf(const UnixMember& member) {
    return {member.fd, IsDatagram(member) ? pb::UnixName() : member.message.name(), Caller(member)};
  }

  // `a` and `b` are connected to each other, with these names.
  Result<> JoinEnds(const End& a, const End& b, uint32_t type) {
    if (type != SOCK_DGRAM && (!a.name.name().empty() || !b.name.name().empty())) return Accept(a, b, type);
    BATON_TRY(const auto pair, MakePairAs(a.peer_caller, AF_UNIX, static_cast<int>(type), context_));
    BATON_CHECKED(sockets_.Move(pair[0], a.fd));
    BATON_CHECKED(sockets_.Move(pair[1], b.fd));
    return type == SOCK_DGRAM ? names_.BindHidden(b.fd, b.name.name()) : Result<>();
  }

  const UnixMember* ListenerNamed(const std::string& name, uint32_t type) const {
    const auto found = std::ranges::find_if(members_, [&](const auto& entry) {
      const Payload& message = entry.second.message;
      return message.state() == Payload::LISTENING && message.type() == type && message.name().name() == name;
    });
    return found == members_.end() ? nullptr : &found->second;
  }

  // What accept(2) gives has the name of the listening socket.
  Result<> Accept(const End& a, const End& b, uint32_t type) {
    const bool a_accepted = b.name.name().empty() || ListenerNamed(a.name.name(), type) != nullptr;
    const End& server = a_accepted && !a.name.name().empty() ? a : b;
    const End& client = &server == &a ? b : a;
    const UnixMember* const known = ListenerNamed(server.name.name(), type);
    BATON_TRY(const int listener, known != nullptr ? Result<int>(known->fd) : MakeListener(server, client, type));
    BATON_TRY(const int connecting, sockets_.Make(AF_UNIX, static_cast<int>(type), 0));
    BATON_CHECKED(names_.Bind(connecting, client.name));
    BATON_CHECKED(ConnectTo(connecting, listener, server.peer_caller));
    BATON_TRY(const int accepted, sockets_.Accept(listener));
    BATON_CHECKED(sockets_.Move(connecting, client.fd));
    BATON_CHECKED(sockets_.Move(accepted, server.fd));
    return known != nullptr ? Result<>() : sockets_.Close(listener);
  }

  Result<int> MakeListener(const End& server, const End& client, uint32_t type) {
    BATON_TRY(const int listener, sockets_.Make(AF_UNIX, static_cast<int>(type), 0));
    BATON_CHECKED(names_.BindHidden(listener, server.name.name()));
    BATON_CHECKED(CallAs(client.peer_caller, listener, context_,
                         [](RemoteSockets& sockets, int fd) { return sockets.Listen(fd, 1); }));
    return listener;
  }

  Result<> ConnectTo(int fd, int to, pid_t caller) {
    BATON_TRY(const auto address, names_.AddressOf(to));
    return CallAs(caller, fd, context_,
                  [&](RemoteSockets& sockets, int there) { return sockets.Connect(there, address); });
  }

  // Datagram sockets connected to one that has no name, and is connected elsewhere or nowhere.
  Result<> JoinUnnamed(UnixMember& member) {
    UnixMember* const peer = PeerOf(member);
    if (!IsDatagram(member) || member.message.state() != Payload::CONNECTED || member.paired || peer == nullptr ||
        HasName(*peer)) {
      return {};
    }
    if (peer->paired) return MakeError(ErrorCode::kNotSupported, "two sockets are connected to one without a name");
    member.paired = true;
    BATON_CHECKED(JoinEnds(EndOf(member), EndOf(*peer), SOCK_DGRAM));
    BATON_CHECKED(Fill(member));
    const sockaddr nobody{.sa_family = AF_UNSPEC, .sa_data = {}};
    BATON_CHECKED(sockets_.Connect(peer->fd, std::as_bytes(std::span(&nobody, 1))));
    return ClearError(member);
  }

  Result<> ClearError(const UnixMember& member) {
    BATON_TRY(const UniqueFd copy, context_.CopyFromHolder(member.fd));
    int error = 0;
    socklen_t length = sizeof error;
    getsockopt(copy.get(), SOL_SOCKET, SO_ERROR, &error, &length);
    return {};
  }

  Result<> Name(UnixMember& member) {
    const bool done = member.message.state() == Payload::LISTENING || (member.paired && !IsDatagram(member));
    return done ? Result<>() : names_.Bind(member.fd, member.message.name());
  }

  // Two datagram sockets that only heard each other: the queue of one that is connected has no limit but its sender's.
  Result<> ConnectEqual(UnixMember& member) {
    const bool only_peer = std::ranges::all_of(member.message.messages(), [&](const pb::UnixMessage& message) {
      return message.sender() == member.message.peer();
    });
    if (!IsDatagram(member) || member.paired || !Mutual(member) || !only_peer) return {};
    return ConnectDatagram(member);
  }

  Result<> Fill(UnixMember& member) {
    if (std::exchange(member.filled, true)) return {};
    return filler_.Fill(member);
  }

  Result<> ConnectDatagram(UnixMember& member) {
    if (!IsDatagram(member) || member.paired) return {};
    if (member.message.state() == Payload::OUTSIDE) return ConnectOutside(member);
    const UnixMember* const peer = PeerOf(member);
    if (member.message.state() != Payload::CONNECTED || peer == nullptr) return {};
    member.paired = true;
    return ConnectTo(member.fd, peer->fd, Caller(member));
  }

  Result<> ConnectOutside(const UnixMember& member) {
    auto connected = sockets_.Connect(member.fd, UnixAddress(member.message.peer_name()));
    if (!connected) return connected.Fail("connect to {}, outside the unit", member.message.peer_name());
    return {};
  }

  // Those who wait to be accepted, in their order.
  Result<> Queue(UnixMember& listener) {
    if (listener.message.state() != Payload::LISTENING) return {};
    for (const uint32_t id : listener.message.waiting()) {
      const auto client = members_.find(id);
      if (client == members_.end() || client->second.message.state() != Payload::WAITING) {
        return MakeError(ErrorCode::kCorrupt, "open file {} does not wait to be accepted", id);
      }
      BATON_CHECKED(ConnectTo(client->second.fd, listener.fd, client->second.message.user()));
    }
    return {};
  }

  Result<> Finish(UnixMember& member) {
    BATON_TRY(const UniqueFd copy, context_.CopyFromHolder(member.fd));
    if (member.temporary >= 0) BATON_CHECKED(CloseTemporary(member, copy.get()));
    const uint32_t halves = member.message.shutdown();
    if (halves != 0) shutdown(copy.get(), static_cast<int>(halves) - 1);  // it may be so already
    BATON_CHECKED(RestoreSocketOptions(member.message.options(), {}, OptionTime::kFirst, copy.get()));
    BATON_CHECKED(RestoreSocketBuffers(member.message.options(), copy.get()));
    BATON_CHECKED(RestoreSocketOptions(member.message.options(), {}, OptionTime::kLast, copy.get()));
    const int set = fcntl(copy.get(), F_SETFL, static_cast<int>(member.message.flags()));
    if (const int error = errno; set != 0) return ErrnoError(error, "flags of a socket");
    return {};
  }

  // Bytes that nobody will read: the kernel then resets the connection.
  Result<> CloseTemporary(UnixMember& member, int copy) {
    if (member.message.reset()) {
      const ssize_t sent = send(copy, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
      if (const int error = errno; sent != 1) return ErrnoError(error, "reset a connection");
    }
    return sockets_.Close(std::exchange(member.temporary, -1));
  }

  UnixMembers& members_;
  RestoreContext& context_;
  RemoteSockets sockets_;
  NameMaker names_;
  QueueFiller filler_;
};

}  // namespace

Result<> RestoreUnixSockets(UnixMembers& members, RestoreContext& context) { return Restorer(members, context).Run(); }

}  // namespace baton
