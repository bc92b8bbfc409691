#include "resource/tcp_socket/tcp_socket.h"

#include <fcntl.h>
#include <sys/socket.h>

#include "resource/common/inet_address.h"
#include "resource/common/inet_options.h"
#include "resource/common/owner.h"
#include "resource/common/payload.h"
#include "resource/common/remote_sockets.h"
#include "resource/common/socket_options.h"
#include "resource/tcp_socket/capture.h"
#include "resource/tcp_socket/restore.h"

namespace baton {
namespace {

constexpr std::string_view kName = "tcp_socket";

using Payload = pb::TcpSocketPayload;

bool IsAddressOrNone(const std::string& address, uint32_t domain) {
  return address.empty() || IsInetAddress(address, domain);
}

bool StateIsSane(const Payload& message) {
  const bool plain = message.peer() == 0 && message.waiting().empty() && message.content().empty();
  switch (message.state()) {
    case Payload::UNCONNECTED:
      return plain;
    case Payload::LISTENING:
      return message.peer() == 0 && message.content().empty() && !message.local().empty();
    case Payload::CONNECTED:
      return message.peer() != 0 && message.waiting().empty() && !message.local().empty() && !message.remote().empty();
    case Payload::PEER_GONE:
      return message.peer() == 0 && message.waiting().empty() &&
             (message.end() != Payload::HALF || (!message.local().empty() && !message.remote().empty()));
    case Payload::WAITING:
      return message.peer() != 0 && message.content().empty() && !message.remote().empty();
    default:
      return false;
  }
}

Result<Payload> Parse(std::string_view payload) {
  BATON_TRY(auto message, ParsePayload<Payload>(payload, kName));
  const uint32_t domain = message.domain();
  const bool sane = (domain == AF_INET || domain == AF_INET6) && IsAddressOrNone(message.local(), domain) &&
                    IsAddressOrNone(message.remote(), domain) && Payload::End_IsValid(message.end()) &&
                    (message.flags() & ~static_cast<unsigned>(O_NONBLOCK)) == 0 && message.shutdown() <= 3 &&
                    message.backlog() <= INT32_MAX && StateIsSane(message);
  if (!sane) {
    return MakeError(ErrorCode::kCorrupt, "TCP socket of domain {}, flags {:o}, state {}, from {} to {}", domain,
                     message.flags(), static_cast<int>(message.state()), ShowInetAddress(message.local()),
                     ShowInetAddress(message.remote()));
  }
  BATON_CHECKED(CheckSocketOptions(message.options(), TcpOptions()));
  BATON_CHECKED(CheckOwner(message.owner()));
  return message;
}

std::string DescribeSocket(const Payload& message) {
  std::string text = "TCP socket";
  if (!message.local().empty()) text += " " + ShowInetAddress(message.local());
  if (message.state() == Payload::LISTENING) text += fmt::format(", listening, {} waiting", message.waiting_size());
  if (message.state() == Payload::PEER_GONE) text += ", the other end is closed";
  if (message.peer() != 0)
    text += fmt::format(", connected to {} (open file {})", ShowInetAddress(message.remote()), message.peer());
  if (!message.content().empty()) text += fmt::format(", {} bytes in it", message.content().size());
  return text;
}

class TcpSocketKind : public ResourceKind {
 public:
  std::string_view Name() const override { return kName; }

  bool Claims(const FdFacts& file) const override { return IsTcpSocket(file); }

  Result<> Check(const FdFacts& file, const CaptureContext& context) const override {
    BATON_CHECKED(CaptureTcpSocket(file, context));
    return {};
  }

  Result<std::string> Capture(const FdFacts& file, CaptureContext& context) const override {
    BATON_TRY(const Payload message, CaptureTcpSocket(file, context));
    return message.SerializeAsString();
  }

  // A connection that is reset leaves nothing; one that is closed holds its port for a minute.
  void BeforeKill(const FdFacts& file) const override {
    const linger at_once{.l_onoff = 1, .l_linger = 0};
    setsockopt(file.copy, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  }

  Result<int> Restore(std::string_view payload, uint32_t, RestoreContext& context) const override {
    BATON_TRY(const auto message, Parse(payload));
    return RemoteSockets(context.holder()).Make(static_cast<int>(message.domain()), SOCK_STREAM, 0);
  }

  Result<> Connect(std::span<const MadeFile> files, RestoreContext& context) const override {
    TcpMembers members;
    for (const MadeFile& file : files) {
      BATON_TRY(auto message, Parse(file.payload));
      members[file.id] = {.message = std::move(message), .fd = file.fd};
    }
    return RestoreTcpSockets(members, context);
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

std::unique_ptr<ResourceKind> MakeTcpSocketKind() { return std::make_unique<TcpSocketKind>(); }

}  // namespace baton
