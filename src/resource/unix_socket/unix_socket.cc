#include "resource/unix_socket/unix_socket.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>

#include "base/file.h"
#include "resource/common/owner.h"
#include "resource/common/payload.h"
#include "resource/common/remote_sockets.h"
#include "resource/common/socket_options.h"
#include "resource/unix_socket/capture.h"
#include "resource/unix_socket/queue.h"
#include "resource/unix_socket/restore.h"

namespace baton {
namespace {

constexpr std::string_view kName = "unix_socket";
constexpr size_t kMaxFiles = 253;  // SCM_MAX_FD

using Payload = pb::UnixSocketPayload;

Result<> CheckNames(const Payload& message) {
  constexpr size_t kMax = sizeof(sockaddr_un::sun_path);
  bool sane = message.name().name().size() <= kMax && message.peer_name().size() <= kMax;
  for (const pb::UnixMessage& queued : message.messages()) sane = sane && queued.sender_name().size() <= kMax;
  const std::string& name = message.name().name();
  const bool relative = !name.empty() && name.front() != '/' && name.front() != '\0';
  const std::string& directory = message.name().directory();
  sane = sane && (!message.name().present() || !relative || (!directory.empty() && directory.front() == '/')) &&
         directory.find('\0') == std::string::npos;
  if (sane) return {};
  return MakeError(ErrorCode::kCorrupt, "UNIX socket: a name of {} bytes", name.size());
}

Result<> CheckMessages(const Payload& message) {
  for (const pb::UnixMessage& queued : message.messages()) {
    const bool sane = queued.files_size() <= static_cast<int>(kMaxFiles) &&
                      (message.type() != SOCK_STREAM || !queued.content().empty()) && queued.credentials().pid() >= 0;
    if (!sane) {
      return MakeError(ErrorCode::kCorrupt, "UNIX socket: a message of {} bytes with {} descriptors",
                       queued.content().size(), queued.files_size());
    }
  }
  return {};
}

bool StateIsSane(const Payload& message) {
  const bool datagram = message.type() == SOCK_DGRAM;
  switch (message.state()) {
    case Payload::UNCONNECTED:
      return message.peer() == 0 && (datagram || message.messages().empty());
    case Payload::LISTENING:
      return !datagram && message.peer() == 0 && !message.name().name().empty() && message.messages().empty();
    case Payload::CONNECTED:
      return message.peer() != 0;
    case Payload::WAITING:
      return !datagram && message.peer() != 0 && message.messages().empty();
    case Payload::PEER_GONE:
      return message.peer() == 0;
    case Payload::OUTSIDE:
      return datagram && message.peer() == 0 && !message.peer_name().empty();
    default:
      return false;
  }
}

Result<Payload> Parse(std::string_view payload) {
  BATON_TRY(auto message, ParsePayload<Payload>(payload, kName));
  const bool known = message.type() == SOCK_STREAM || message.type() == SOCK_DGRAM || message.type() == SOCK_SEQPACKET;
  const bool sane = known && (message.flags() & ~static_cast<unsigned>(O_NONBLOCK)) == 0 && message.shutdown() <= 3 &&
                    message.backlog() <= INT32_MAX && message.user() >= 0 && StateIsSane(message);
  if (!sane) {
    return MakeError(ErrorCode::kCorrupt, "UNIX socket of type {}, flags {:o}, state {}, shutdown {}", message.type(),
                     message.flags(), static_cast<int>(message.state()), message.shutdown());
  }
  BATON_CHECKED(CheckNames(message));
  BATON_CHECKED(CheckMessages(message));
  BATON_CHECKED(CheckSocketOptions(message.options(), {}));
  BATON_CHECKED(CheckOwner(message.owner()));
  return message;
}

std::string Shown(std::string name) {
  std::ranges::replace(name, '\0', '@');
  return name;
}

std::string DescribeSocket(const Payload& message) {
  std::string text = fmt::format("UNIX {} socket", message.type() == SOCK_STREAM  ? "stream"
                                                   : message.type() == SOCK_DGRAM ? "datagram"
                                                                                  : "seqpacket");
  if (!message.name().name().empty()) text += " " + Shown(message.name().name());
  switch (message.state()) {
    case Payload::LISTENING:
      text += fmt::format(", listening, {} waiting", message.waiting_size());
      break;
    case Payload::CONNECTED:
      text += fmt::format(", connected to {}", message.peer());
      break;
    case Payload::WAITING:
      text += fmt::format(", waits to be accepted by {}", message.peer());
      break;
    case Payload::PEER_GONE:
      text += ", the other end is closed";
      break;
    case Payload::OUTSIDE:
      text += fmt::format(", connected to {} outside", Shown(message.peer_name()));
      break;
    default:
      break;
  }
  if (!message.messages().empty()) text += fmt::format(", {} messages in it", message.messages_size());
  return text;
}

class UnixSocketKind : public ResourceKind {
 public:
  std::string_view Name() const override { return kName; }

  bool Claims(const FdFacts& file) const override {
    int domain = 0;
    socklen_t length = sizeof domain;
    return file.IsSocket() && getsockopt(file.copy, SOL_SOCKET, SO_DOMAIN, &domain, &length) == 0 && domain == AF_UNIX;
  }

  // What is on its way is sent once it is what it will be.
  std::vector<std::string_view> DependsOn() const override { return {"tcp_socket", "datagram_socket", "terminal"}; }

  Result<std::vector<UniqueFd>> Carried(const FdFacts& file, CaptureContext& context) const override {
    std::vector<UniqueFd> carried;
    BATON_TRY(const UnixQueue* queue, QueueOf(file, context));
    for (const PeekedMessage& message : *queue) {
      for (const UniqueFd& queued : message.files) {
        BATON_TRY(UniqueFd copy, DupFd(queued.get()));
        carried.push_back(std::move(copy));
      }
    }
    return carried;
  }

  Result<> Check(const FdFacts& file, const CaptureContext& context) const override {
    BATON_CHECKED(CaptureUnixSocket(file, context));
    return {};
  }

  Result<std::string> Capture(const FdFacts& file, CaptureContext& context) const override {
    BATON_TRY(const Payload message, CaptureUnixSocket(file, context));
    return message.SerializeAsString();
  }

  Result<int> Restore(std::string_view payload, uint32_t, RestoreContext& context) const override {
    BATON_TRY(const auto message, Parse(payload));
    return RemoteSockets(context.holder()).Make(AF_UNIX, static_cast<int>(message.type()), 0);
  }

  Result<> Connect(std::span<const MadeFile> files, RestoreContext& context) const override {
    UnixMembers members;
    for (const MadeFile& file : files) {
      BATON_TRY(auto message, Parse(file.payload));
      members[file.id] = {.message = std::move(message), .fd = file.fd};
    }
    return RestoreUnixSockets(members, context);
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

std::unique_ptr<ResourceKind> MakeUnixSocketKind() { return std::make_unique<UnixSocketKind>(); }

}  // namespace baton
