#include "resource/packet_socket/packet_socket.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/packet_diag.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <net/if.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "resource/common/netlink_socket.h"
#include "resource/common/owner.h"
#include "resource/common/payload.h"
#include "resource/common/remote_sockets.h"
#include "resource/common/socket_options.h"
#include "resource/packet_socket/packet_socket.pb.h"

namespace baton {
namespace {

constexpr std::string_view kName = "packet_socket";
constexpr size_t kMaxAddress = sizeof(packet_mreq::mr_address);

using Payload = pb::PacketSocketPayload;

constexpr std::array kOptions{
    OptionRule{SOL_PACKET, PACKET_AUXDATA},      OptionRule{SOL_PACKET, PACKET_ORIGDEV},
    OptionRule{SOL_PACKET, PACKET_VERSION},      OptionRule{SOL_PACKET, PACKET_RESERVE},
    OptionRule{SOL_PACKET, PACKET_LOSS},         OptionRule{SOL_PACKET, PACKET_VNET_HDR},
    OptionRule{SOL_PACKET, PACKET_TIMESTAMP},    OptionRule{SOL_PACKET, PACKET_TX_HAS_OFF},
    OptionRule{SOL_PACKET, PACKET_QDISC_BYPASS}, OptionRule{SOL_PACKET, PACKET_IGNORE_OUTGOING},
};

struct PacketDiag {
  bool ring = false;
  bool fanout = false;
  std::vector<packet_diag_mclist> memberships;
};

int Option(int fd, int name) {
  int value = 0;
  socklen_t length = sizeof value;
  return getsockopt(fd, SOL_SOCKET, name, &value, &length) == 0 ? value : 0;
}

std::string InterfaceName(uint32_t index) {
  std::array<char, IF_NAMESIZE> name{};
  return index != 0 && if_indextoname(index, name.data()) != nullptr ? std::string(name.data()) : std::string();
}

void TakeAttribute(const rtattr& attribute, PacketDiag& diag) {
  diag.ring = diag.ring || attribute.rta_type == PACKET_DIAG_RX_RING || attribute.rta_type == PACKET_DIAG_TX_RING;
  diag.fanout = diag.fanout || attribute.rta_type == PACKET_DIAG_FANOUT;
  if (attribute.rta_type != PACKET_DIAG_MCLIST) return;
  diag.memberships.resize(RTA_PAYLOAD(&attribute) / sizeof(packet_diag_mclist));
  std::memcpy(diag.memberships.data(), RTA_DATA(&attribute), diag.memberships.size() * sizeof(packet_diag_mclist));
}

Result<PacketDiag> Ask(pid_t host_pid, uint32_t inode) {
  BATON_TRY(const UniqueFd socket, OpenSockDiag(host_pid));
  struct {
    nlmsghdr header{};
    packet_diag_req body{};
  } request;
  request.header = {.nlmsg_len = sizeof request,
                    .nlmsg_type = SOCK_DIAG_BY_FAMILY,
                    .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP,
                    .nlmsg_seq = 0,
                    .nlmsg_pid = 0};
  request.body.sdiag_family = AF_PACKET;
  request.body.pdiag_show = PACKET_SHOW_MCLIST | PACKET_SHOW_RING_CFG | PACKET_SHOW_FANOUT;
  PacketDiag found;
  BATON_CHECKED(AskNetlink(socket.get(), std::as_bytes(std::span(&request, 1)), [&](const nlmsghdr& message) {
    packet_diag_msg body{};
    if (message.nlmsg_len < NLMSG_LENGTH(sizeof body)) return Result<>();
    std::memcpy(&body, NLMSG_DATA(&message), sizeof body);
    if (body.pdiag_ino != inode) return Result<>();
    auto left = static_cast<unsigned>(NLMSG_PAYLOAD(&message, sizeof body));
    const auto* first = reinterpret_cast<const char*>(NLMSG_DATA(&message)) + NLMSG_ALIGN(sizeof body);
    for (const auto* at = reinterpret_cast<const rtattr*>(first); RTA_OK(at, left); at = RTA_NEXT(at, left)) {
      TakeAttribute(*at, found);
    }
    return Result<>();
  }));
  return found;
}

Result<> CaptureMemberships(const FdFacts& file, Payload& message) {
  BATON_TRY(const PacketDiag diag, Ask(file.host_pid, static_cast<uint32_t>(file.status.st_ino)));
  if (diag.ring) {
    return MakeError(ErrorCode::kNotSupported, "is a packet socket with a ring of shared memory (PACKET_RX_RING)");
  }
  if (diag.fanout) {
    return MakeError(ErrorCode::kNotSupported, "is a packet socket in a fanout group (PACKET_FANOUT)");
  }
  for (const packet_diag_mclist& entry : diag.memberships) {
    pb::PacketMembership& out = *message.add_memberships();
    out.set_interface(InterfaceName(entry.pdmc_index));
    out.set_type(entry.pdmc_type);
    out.set_address(&entry.pdmc_addr, std::min<size_t>(entry.pdmc_alen, kMaxAddress));
    out.set_count(entry.pdmc_count);
  }
  return {};
}

Result<Payload> CaptureSocket(const FdFacts& file, const CaptureContext& context) {
  Payload message;
  sockaddr_ll address{};
  socklen_t length = sizeof address;
  const int named = getsockname(file.copy, reinterpret_cast<sockaddr*>(&address), &length);
  if (const int error = errno; named != 0) return ErrnoError(error, "getsockname");
  message.set_type(static_cast<uint32_t>(Option(file.copy, SO_TYPE)));
  message.set_flags(file.info.flags & O_NONBLOCK);
  message.set_protocol(ntohs(address.sll_protocol));
  message.set_interface(InterfaceName(static_cast<uint32_t>(address.sll_ifindex)));
  BATON_CHECKED(CaptureMemberships(file, message));
  BATON_TRY(*message.mutable_options(), CaptureSocketOptions(file.copy, kOptions));
  BATON_TRY(*message.mutable_owner(), CaptureOwner(file, context));
  return message;
}

Result<Payload> Parse(std::string_view payload) {
  BATON_TRY(auto message, ParsePayload<Payload>(payload, kName));
  bool sane = (message.type() == SOCK_RAW || message.type() == SOCK_DGRAM) && message.protocol() <= UINT16_MAX &&
              (message.flags() & ~static_cast<unsigned>(O_NONBLOCK)) == 0 && message.interface().size() < IF_NAMESIZE;
  for (const pb::PacketMembership& one : message.memberships()) {
    sane = sane && one.interface().size() < IF_NAMESIZE && one.type() <= UINT16_MAX &&
           one.address().size() <= kMaxAddress && one.count() >= 1 && one.count() <= UINT16_MAX;
  }
  if (!sane) {
    return MakeError(ErrorCode::kCorrupt, "packet socket of type {}, protocol {:#x}, flags {:o}, {} memberships",
                     message.type(), message.protocol(), message.flags(), message.memberships_size());
  }
  BATON_CHECKED(CheckSocketOptions(message.options(), kOptions));
  BATON_CHECKED(CheckOwner(message.owner()));
  return message;
}

Result<uint32_t> InterfaceIndex(const std::string& name) {
  if (name.empty()) return uint32_t{0};
  const uint32_t index = if_nametoindex(name.c_str());
  if (index == 0) return MakeError(ErrorCode::kNotFound, "there is no interface {} any more", name);
  return index;
}

Result<> Join(const pb::PacketMembership& membership, int own) {
  packet_mreq request{};
  BATON_TRY(const uint32_t index, InterfaceIndex(membership.interface()));
  request.mr_ifindex = static_cast<int>(index);
  request.mr_type = static_cast<uint16_t>(membership.type());
  request.mr_alen = static_cast<uint16_t>(membership.address().size());
  std::memcpy(request.mr_address, membership.address().data(), membership.address().size());
  for (uint32_t i = 0; i < membership.count(); ++i) {
    const int joined = setsockopt(own, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &request, sizeof request);
    if (const int error = errno; joined != 0) return ErrnoError(error, "membership of a packet socket");
  }
  return {};
}

// The filter comes before the first packet can.
Result<> RestoreSocket(const Payload& message, int own) {
  BATON_CHECKED(RestoreSocketOptions(message.options(), kOptions, OptionTime::kFirst, own));
  BATON_CHECKED(RestoreSocketBuffers(message.options(), own));
  BATON_CHECKED(RestoreSocketOptions(message.options(), kOptions, OptionTime::kLast, own));
  for (const pb::PacketMembership& membership : message.memberships()) BATON_CHECKED(Join(membership, own));
  if (message.protocol() != 0 || !message.interface().empty()) {
    sockaddr_ll address{};
    address.sll_family = AF_PACKET;
    address.sll_protocol = htons(static_cast<uint16_t>(message.protocol()));
    BATON_TRY(const uint32_t index, InterfaceIndex(message.interface()));
    address.sll_ifindex = static_cast<int>(index);
    const int bound = bind(own, reinterpret_cast<const sockaddr*>(&address), sizeof address);
    if (const int error = errno; bound != 0) return ErrnoError(error, "bind to {}", message.interface());
  }
  const int set = fcntl(own, F_SETFL, static_cast<int>(message.flags()));
  if (const int error = errno; set != 0) return ErrnoError(error, "flags of a socket");
  return {};
}

class PacketSocketKind : public ResourceKind {
 public:
  std::string_view Name() const override { return kName; }

  bool Claims(const FdFacts& file) const override {
    return file.IsSocket() && Option(file.copy, SO_DOMAIN) == AF_PACKET;
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
    BATON_TRY(const int fd, RemoteSockets(context.holder()).Make(AF_PACKET, static_cast<int>(message.type()), 0));
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
    return fmt::format("packet socket, protocol {:#x} on {}", message.protocol(),
                       message.interface().empty() ? "all interfaces" : message.interface());
  }
};

}  // namespace

std::unique_ptr<ResourceKind> MakePacketSocketKind() { return std::make_unique<PacketSocketKind>(); }

}  // namespace baton
