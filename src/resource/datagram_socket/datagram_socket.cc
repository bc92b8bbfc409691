#include "resource/datagram_socket/datagram_socket.h"

#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>

#include "resource/common/inet_address.h"
#include "resource/common/inet_options.h"
#include "resource/common/owner.h"
#include "resource/common/payload.h"
#include "resource/common/remote_sockets.h"
#include "resource/common/socket_options.h"
#include "resource/common/socket_peek.h"
#include "resource/datagram_socket/multicast.h"
#include "resource/datagram_socket/restore.h"

namespace baton {
namespace {

constexpr std::string_view kName = "datagram_socket";
constexpr size_t kLongest = 65536;  // of a UDP datagram
constexpr uint32_t kMaxProtocol = 255;

using Payload = pb::DatagramSocketPayload;
using Queue = std::vector<PeekedMessage>;

int Option(int fd, int level, int name) {
  int value = 0;
  socklen_t length = sizeof value;
  return getsockopt(fd, level, name, &value, &length) == 0 ? value : 0;
}

bool IsUdp(uint32_t type, uint32_t protocol) {
  return type == SOCK_DGRAM && (protocol == IPPROTO_UDP || protocol == IPPROTO_UDPLITE);
}

// Looked at once in a capture: the kernel shows an empty datagram only once.
Result<const Queue*> QueueOf(const FdFacts& file, const CaptureContext& context) {
  std::shared_ptr<const void>& memo = context.Memo(file.id);
  if (!memo) {
    BATON_TRY(auto queue, PeekMessages(file.copy, kLongest));
    memo = std::make_shared<const Queue>(std::move(queue));
  }
  return static_cast<const Queue*>(memo.get());
}

uint32_t ShutdownOf(int fd) {
  pollfd asked{.fd = fd, .events = POLLRDHUP, .revents = 0};
  if (poll(&asked, 1, 0) <= 0) return 0;
  if ((asked.revents & POLLHUP) != 0) return 3;
  return (asked.revents & POLLRDHUP) != 0 ? 1 : 0;
}

Result<> CheckCork(int fd) {
  int bytes = 0;
  const bool corked = Option(fd, IPPROTO_UDP, UDP_CORK) != 0 && ioctl(fd, SIOCOUTQ, &bytes) == 0 && bytes > 0;
  if (!corked) return {};
  return MakeError(ErrorCode::kUnavailable,
                   "a datagram is being put together in this socket (UDP_CORK), and cannot be seen; try again when it "
                   "is sent");
}

Result<Payload> CaptureSocket(const FdFacts& file, const CaptureContext& context) {
  Payload message;
  message.set_domain(static_cast<uint32_t>(Option(file.copy, SOL_SOCKET, SO_DOMAIN)));
  message.set_type(static_cast<uint32_t>(Option(file.copy, SOL_SOCKET, SO_TYPE)));
  message.set_protocol(static_cast<uint32_t>(Option(file.copy, SOL_SOCKET, SO_PROTOCOL)));
  message.set_flags(file.info.flags & O_NONBLOCK);
  message.set_local(LocalInetAddress(file.copy));
  message.set_remote(RemoteInetAddress(file.copy));
  message.set_shutdown(ShutdownOf(file.copy));
  if (IsUdp(message.type(), message.protocol())) {
    BATON_CHECKED(CheckCork(file.copy));
    BATON_TRY(const Queue* queue, QueueOf(file, context));
    for (const PeekedMessage& queued : *queue) {
      pb::Datagram& datagram = *message.add_datagrams();
      datagram.set_content(queued.content);
      datagram.set_source(queued.sender);
    }
  }
  BATON_TRY(const auto groups, CaptureGroups(file.host_pid, file.copy, message.domain()));
  for (const pb::MulticastGroup& group : groups) *message.add_groups() = group;
  BATON_TRY(*message.mutable_options(), CaptureSocketOptions(file.copy, DatagramOptions()));
  BATON_TRY(*message.mutable_owner(), CaptureOwner(file, context));
  return message;
}

bool IsAddressOrNone(const std::string& address, uint32_t domain) {
  return address.empty() || IsInetAddress(address, domain);
}

Result<Payload> Parse(std::string_view payload) {
  BATON_TRY(auto message, ParsePayload<Payload>(payload, kName));
  const uint32_t domain = message.domain();
  const bool udp = IsUdp(message.type(), message.protocol());
  bool sane = (domain == AF_INET || domain == AF_INET6) &&
              (message.type() == SOCK_DGRAM || message.type() == SOCK_RAW) && message.protocol() <= kMaxProtocol &&
              (message.flags() & ~static_cast<unsigned>(O_NONBLOCK)) == 0 && IsAddressOrNone(message.local(), domain) &&
              IsAddressOrNone(message.remote(), domain) && (udp || message.datagrams().empty()) &&
              message.shutdown() <= 3 && message.shutdown() != 2;
  for (const pb::Datagram& datagram : message.datagrams()) {
    sane = sane && datagram.content().size() < kLongest && IsInetAddress(datagram.source(), domain);
  }
  for (const pb::MulticastGroup& group : message.groups()) sane = sane && IsMulticastGroup(group, domain);
  if (!sane) {
    return MakeError(ErrorCode::kCorrupt, "socket of domain {}, type {}, protocol {}, flags {:o}, {} datagrams", domain,
                     message.type(), message.protocol(), message.flags(), message.datagrams_size());
  }
  BATON_CHECKED(CheckSocketOptions(message.options(), DatagramOptions()));
  BATON_CHECKED(CheckOwner(message.owner()));
  return message;
}

std::string DescribeSocket(const Payload& message) {
  std::string text = IsUdp(message.type(), message.protocol()) ? std::string("UDP socket")
                     : message.type() == SOCK_DGRAM            ? std::string("ICMP socket")
                                                    : fmt::format("raw socket, protocol {}", message.protocol());
  if (!message.local().empty()) text += " " + ShowInetAddress(message.local());
  if (!message.remote().empty()) text += ", connected to " + ShowInetAddress(message.remote());
  if (!message.groups().empty()) text += fmt::format(", in {} groups", message.groups_size());
  if (!message.datagrams().empty()) text += fmt::format(", {} datagrams in it", message.datagrams_size());
  return text;
}

class DatagramSocketKind : public ResourceKind {
 public:
  std::string_view Name() const override { return kName; }

  bool Claims(const FdFacts& file) const override {
    if (!file.IsSocket()) return false;
    const int domain = Option(file.copy, SOL_SOCKET, SO_DOMAIN);
    const auto type = static_cast<uint32_t>(Option(file.copy, SOL_SOCKET, SO_TYPE));
    const auto protocol = static_cast<uint32_t>(Option(file.copy, SOL_SOCKET, SO_PROTOCOL));
    const bool ping = type == SOCK_DGRAM && (protocol == IPPROTO_ICMP || protocol == IPPROTO_ICMPV6);
    return (domain == AF_INET || domain == AF_INET6) && (IsUdp(type, protocol) || ping || type == SOCK_RAW);
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
    return RemoteSockets(context.holder())
        .Make(static_cast<int>(message.domain()), static_cast<int>(message.type()),
              static_cast<int>(message.protocol()));
  }

  Result<> Connect(std::span<const MadeFile> files, RestoreContext& context) const override {
    DatagramMembers members;
    for (const MadeFile& file : files) {
      BATON_TRY(auto message, Parse(file.payload));
      members[file.id] = {.message = std::move(message), .fd = file.fd};
    }
    return RestoreDatagramSockets(members, context);
  }

  Result<> Arm(std::string_view payload, std::span<const FdUser> users, ArmContext& context) const override {
    BATON_TRY(const auto message, Parse(payload));
    return RestoreOwner(message.owner(), users, context);
  }

  Result<std::string> Describe(std::string_view payload) const override {
    BATON_TRY(const auto message, Parse(payload));
    return DescribeSocket(message);
  }
};

}  // namespace

std::unique_ptr<ResourceKind> MakeDatagramSocketKind() { return std::make_unique<DatagramSocketKind>(); }

}  // namespace baton
