#include "resource/datagram_socket/restore.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <tuple>

#include "base/log.h"
#include "resource/common/inet_address.h"
#include "resource/common/inet_options.h"
#include "resource/common/socket_options.h"
#include "resource/datagram_socket/multicast.h"

namespace baton {
namespace {

using Payload = pb::DatagramSocketPayload;

void Set(int fd, int level, int name, int value) { setsockopt(fd, level, name, &value, sizeof value); }

class Restorer {
 public:
  Restorer(DatagramMembers& members, RestoreContext& context) : members_(members), context_(context) {}

  // All have their addresses before one sends, and none is connected yet, since those hear only their peer.
  Result<> Run() {
    for (auto& [id, member] : members_) {
      BATON_TRY(UniqueFd copy, context_.CopyFromHolder(member.fd));
      copies_.emplace(id, std::move(copy));
    }
    BATON_CHECKED(ForEach(&Restorer::Bind));
    BATON_CHECKED(ForEach(&Restorer::Fill));
    return ForEach(&Restorer::Finish);
  }

 private:
  Result<> ForEach(Result<> (Restorer::*step)(const Payload&, int)) {
    for (const auto& [id, member] : members_) {
      if (auto done = (this->*step)(member.message, copies_.at(id).get()); !done) return done.Fail("open file {}", id);
    }
    return {};
  }

  Result<> Bind(const Payload& message, int own) {
    BATON_CHECKED(RestoreSocketOptions(message.options(), DatagramOptions(), OptionTime::kBeforeBind, own));
    BATON_CHECKED(RestoreSocketOptions(message.options(), DatagramOptions(), OptionTime::kFirst, own));
    BATON_CHECKED(RestoreSocketBuffers(message.options(), own));
    for (const pb::MulticastGroup& group : message.groups()) BATON_CHECKED(JoinGroup(group, message.domain(), own));
    if (message.local().empty()) return {};
    if (IsShared(message.local())) Set(own, SOL_SOCKET, SO_REUSEADDR, 1);
    return BindTo(own, message.local());
  }

  // Sockets of the unit that had one port together got it while both allowed that; they may not any more.
  bool IsShared(const std::string& local) const {
    return std::ranges::count_if(members_, [&](const auto& entry) {
             const std::string& other = entry.second.message.local();
             return !other.empty() && PortOf(other) == PortOf(local);
           }) > 1;
  }

  // The receiver listens to the sender alone meanwhile, so that no other socket with its port gets the datagram.
  Result<> Fill(const Payload& message, int own) {
    for (const pb::Datagram& datagram : message.datagrams()) {
      BATON_CHECKED(ConnectTo(own, datagram.source()));
      auto sent = SendFrom(datagram, LocalInetAddress(own), message);
      const sockaddr nobody{.sa_family = AF_UNSPEC, .sa_data = {}};
      std::ignore = connect(own, &nobody, sizeof nobody);
      if (!sent) {
        BATON_LOG(kWarn, "a datagram of {} bytes from {} is dropped: {}", datagram.content().size(),
                  ShowInetAddress(datagram.source()), sent.error().ToString());
      }
    }
    return {};
  }

  Result<> SendFrom(const pb::Datagram& datagram, const std::string& to, const Payload& receiver) {
    if (const DatagramMember* member = FindSender(datagram.source())) {
      BATON_TRY(const UniqueFd copy, context_.CopyFromHolder(member->fd));
      return Send(copy.get(), datagram.content(), InDomain(to, member->message.domain()));
    }
    const int made =
        socket(static_cast<int>(receiver.domain()), SOCK_DGRAM | SOCK_CLOEXEC, static_cast<int>(receiver.protocol()));
    if (const int error = errno; made < 0) return ErrnoError(error, "socket");
    const UniqueFd gone(made);
    // For root this gives any address.
    Set(made, receiver.domain() == AF_INET ? IPPROTO_IP : IPPROTO_IPV6,
        receiver.domain() == AF_INET ? IP_TRANSPARENT : IPV6_TRANSPARENT, 1);
    BATON_CHECKED(BindTo(made, datagram.source()));
    return Send(made, datagram.content(), to);
  }

  const DatagramMember* FindSender(const std::string& source) const {
    const std::string shown = ShowInetAddress(source);
    for (const auto& [id, member] : members_) {
      const std::string& local = member.message.local();
      if (local.empty() || member.message.type() != SOCK_DGRAM || PortOf(local) != PortOf(source)) continue;
      if (IsAnyAddress(local) || ShowInetAddress(local) == shown) return &member;
    }
    return nullptr;
  }

  static Result<> Send(int from, const std::string& content, const std::string& to) {
    const ssize_t sent = sendto(from, content.data(), content.size(), MSG_DONTWAIT,
                                reinterpret_cast<const sockaddr*>(to.data()), static_cast<socklen_t>(to.size()));
    if (const int error = errno; sent < 0) return ErrnoError(error, "send");
    return {};
  }

  Result<> Finish(const Payload& message, int own) {
    if (!message.remote().empty()) BATON_CHECKED(ConnectTo(own, message.remote()));
    if (message.shutdown() != 0) shutdown(own, static_cast<int>(message.shutdown()) - 1);  // ENOTCONN, and yet done
    BATON_CHECKED(RestoreSocketOptions(message.options(), DatagramOptions(), OptionTime::kFirst, own));
    BATON_CHECKED(RestoreSocketOptions(message.options(), DatagramOptions(), OptionTime::kLast, own));
    const int set = fcntl(own, F_SETFL, static_cast<int>(message.flags()));
    if (const int error = errno; set != 0) return ErrnoError(error, "flags of a socket");
    return {};
  }

  DatagramMembers& members_;
  RestoreContext& context_;
  std::map<uint32_t, UniqueFd> copies_;
};

}  // namespace

Result<> RestoreDatagramSockets(DatagramMembers& members, RestoreContext& context) {
  return Restorer(members, context).Run();
}

}  // namespace baton
