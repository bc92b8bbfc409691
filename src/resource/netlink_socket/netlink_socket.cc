#include "resource/netlink_socket/netlink_socket.h"

#include <fcntl.h>
#include <linux/netlink.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <climits>

#include "base/log.h"
#include "resource/common/owner.h"
#include "resource/common/payload.h"
#include "resource/common/remote_sockets.h"
#include "resource/common/socket_options.h"
#include "resource/netlink_socket/netlink_socket.pb.h"

namespace baton {
namespace {

constexpr std::string_view kName = "netlink_socket";
constexpr uint32_t kMaxGroups = 1024;

using Payload = pb::NetlinkSocketPayload;

constexpr std::array kOptions{
    OptionRule{SOL_NETLINK, NETLINK_PKTINFO},        OptionRule{SOL_NETLINK, NETLINK_BROADCAST_ERROR},
    OptionRule{SOL_NETLINK, NETLINK_NO_ENOBUFS},     OptionRule{SOL_NETLINK, NETLINK_LISTEN_ALL_NSID},
    OptionRule{SOL_NETLINK, NETLINK_CAP_ACK},        OptionRule{SOL_NETLINK, NETLINK_EXT_ACK},
    OptionRule{SOL_NETLINK, NETLINK_GET_STRICT_CHK},
};

int Option(int fd, int name) {
  int value = 0;
  socklen_t length = sizeof value;
  return getsockopt(fd, SOL_SOCKET, name, &value, &length) == 0 ? value : 0;
}

using NameCall = int (*)(int, sockaddr*, socklen_t*);
sockaddr_nl AddressBy(NameCall call, int fd) {
  sockaddr_nl address{};
  socklen_t length = sizeof address;
  if (call(fd, reinterpret_cast<sockaddr*>(&address), &length) != 0) return {};
  return address;
}

void CaptureGroups(int fd, Payload& message) {
  std::array<uint32_t, kMaxGroups / 32> words{};
  socklen_t length = sizeof words;
  if (getsockopt(fd, SOL_NETLINK, NETLINK_LIST_MEMBERSHIPS, words.data(), &length) != 0) return;
  for (uint32_t bit = 0; bit < kMaxGroups; ++bit) {
    if ((words.at(bit / 32) >> (bit % 32) & 1) != 0) message.add_groups(bit + 1);
  }
}

// What the kernel has said cannot be said again.
Result<> CheckQueue(int fd) {
  pollfd asked{.fd = fd, .events = POLLIN, .revents = 0};
  if (poll(&asked, 1, 0) <= 0 || (asked.revents & (POLLIN | POLLERR)) == 0) return {};
  return MakeError(ErrorCode::kUnavailable,
                   "messages of the kernel wait in this netlink socket, and cannot be put back; try again when the "
                   "program has read them");
}

Result<Payload> CaptureSocket(const FdFacts& file, const CaptureContext& context) {
  Payload message;
  BATON_CHECKED(CheckQueue(file.copy));
  message.set_type(static_cast<uint32_t>(Option(file.copy, SO_TYPE)));
  message.set_protocol(static_cast<uint32_t>(Option(file.copy, SO_PROTOCOL)));
  message.set_flags(file.info.flags & O_NONBLOCK);
  message.set_port(AddressBy(getsockname, file.copy).nl_pid);
  const sockaddr_nl peer = AddressBy(getpeername, file.copy);
  message.set_peer_port(peer.nl_pid);
  message.set_peer_groups(peer.nl_groups);
  CaptureGroups(file.copy, message);
  BATON_TRY(*message.mutable_options(), CaptureSocketOptions(file.copy, kOptions));
  BATON_TRY(*message.mutable_owner(), CaptureOwner(file, context));
  return message;
}

Result<Payload> Parse(std::string_view payload) {
  BATON_TRY(auto message, ParsePayload<Payload>(payload, kName));
  bool sane = (message.type() == SOCK_RAW || message.type() == SOCK_DGRAM) && message.protocol() < MAX_LINKS &&
              (message.flags() & ~static_cast<unsigned>(O_NONBLOCK)) == 0;
  for (const uint32_t group : message.groups()) sane = sane && group >= 1 && group <= kMaxGroups;
  if (!sane) {
    return MakeError(ErrorCode::kCorrupt, "netlink socket of type {}, protocol {}, flags {:o}, {} groups",
                     message.type(), message.protocol(), message.flags(), message.groups_size());
  }
  BATON_CHECKED(CheckSocketOptions(message.options(), kOptions));
  BATON_CHECKED(CheckOwner(message.owner()));
  return message;
}

sockaddr_nl Address(uint32_t port, uint32_t groups) {
  return {.nl_family = AF_NETLINK, .nl_pad = 0, .nl_pid = port, .nl_groups = groups};
}

Result<> Bind(int own, uint32_t port) {
  if (port == 0) return {};
  sockaddr_nl address = Address(port, 0);
  int bound = bind(own, reinterpret_cast<const sockaddr*>(&address), sizeof address);
  if (bound != 0 && errno == EADDRINUSE) {
    BATON_LOG(kWarn, "netlink port {} is taken; the socket gets another one", port);
    address.nl_pid = 0;
    bound = bind(own, reinterpret_cast<const sockaddr*>(&address), sizeof address);
  }
  if (const int error = errno; bound != 0) return ErrnoError(error, "netlink port {}", port);
  return {};
}

Result<> RestoreSocket(const Payload& message, int own) {
  BATON_CHECKED(RestoreSocketOptions(message.options(), kOptions, OptionTime::kFirst, own));
  BATON_CHECKED(Bind(own, message.port()));
  for (const uint32_t group : message.groups()) {
    const int joined = setsockopt(own, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof group);
    if (const int error = errno; joined != 0) return ErrnoError(error, "netlink group {}", group);
  }
  if (message.peer_port() != 0 || message.peer_groups() != 0) {
    const sockaddr_nl peer = Address(message.peer_port(), message.peer_groups());
    const int connected = connect(own, reinterpret_cast<const sockaddr*>(&peer), sizeof peer);
    if (const int error = errno; connected != 0) return ErrnoError(error, "netlink peer {}", message.peer_port());
  }
  BATON_CHECKED(RestoreSocketBuffers(message.options(), own));
  BATON_CHECKED(RestoreSocketOptions(message.options(), kOptions, OptionTime::kLast, own));
  const int set = fcntl(own, F_SETFL, static_cast<int>(message.flags()));
  if (const int error = errno; set != 0) return ErrnoError(error, "flags of a socket");
  return {};
}

class NetlinkSocketKind : public ResourceKind {
 public:
  std::string_view Name() const override { return kName; }

  bool Claims(const FdFacts& file) const override {
    return file.IsSocket() && Option(file.copy, SO_DOMAIN) == AF_NETLINK;
  }

  Result<> Check(const FdFacts& file, const CaptureContext& context) const override {
    BATON_CHECKED(CaptureSocket(file, context));
    return {};
  }

  Result<std::string> Capture(const FdFacts& file, CaptureContext& context) const override {
    BATON_TRY(const Payload message, CaptureSocket(file, context));
    return message.SerializeAsString();
  }

  Result<int> Restore(std::string_view payload, uint32_t, RestoreContext& context) const override {
    BATON_TRY(const auto message, Parse(payload));
    BATON_TRY(const int fd,
              RemoteSockets(context.holder())
                  .Make(AF_NETLINK, static_cast<int>(message.type()), static_cast<int>(message.protocol())));
    BATON_TRY(const UniqueFd own, context.CopyFromHolder(fd));
    BATON_CHECKED(RestoreSocket(message, own.get()));
    return fd;
  }

  Result<> Arm(std::string_view payload, std::span<const FdUser> users, ArmContext& context) const override {
    BATON_TRY(const auto message, Parse(payload));
    return RestoreOwner(message.owner(), users, context);
  }

  Result<std::string> Describe(std::string_view payload) const override {
    BATON_TRY(const auto message, Parse(payload));
    return fmt::format("netlink socket, protocol {}, port {}, {} groups", message.protocol(), message.port(),
                       message.groups_size());
  }
};

}  // namespace

std::unique_ptr<ResourceKind> MakeNetlinkSocketKind() { return std::make_unique<NetlinkSocketKind>(); }

}  // namespace baton
