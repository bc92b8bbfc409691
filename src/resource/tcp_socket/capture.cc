#include "resource/tcp_socket/capture.h"

#include <fcntl.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <optional>

#include "resource/common/inet_address.h"
#include "resource/common/inet_diag.h"
#include "resource/common/inet_options.h"
#include "resource/common/owner.h"
#include "resource/common/socket_holder.h"
#include "resource/common/socket_options.h"
#include "resource/tcp_socket/flight.h"

namespace baton {
namespace {

using Payload = pb::TcpSocketPayload;

// <netinet/tcp.h> has them, and clashes with <linux/tcp.h>.
enum State : uint8_t {
  kEstablished = 1,
  kSynSent = 2,
  kSynReceived = 3,
  kFinWait1 = 4,
  kFinWait2 = 5,
  kTimeWait = 6,
  kClose = 7,
  kCloseWait = 8,
  kLastAck = 9,
  kListen = 10,
  kClosing = 11,
};
constexpr uint32_t kNoReading = 1;
constexpr uint32_t kNoWriting = 2;

template <typename... Args>
Error NotSupported(fmt::format_string<Args...> format, Args&&... args) {
  return MakeError(ErrorCode::kNotSupported, format, std::forward<Args>(args)...);
}

tcp_info InfoOf(int fd) {
  tcp_info info{};
  socklen_t length = sizeof info;
  getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length);
  return info;
}

int IntOption(int fd, int name) {
  int value = 0;
  socklen_t length = sizeof value;
  return getsockopt(fd, SOL_SOCKET, name, &value, &length) == 0 ? value : 0;
}

short PollOf(int fd) {
  pollfd asked{.fd = fd, .events = POLLIN | POLLRDHUP, .revents = 0};
  return poll(&asked, 1, 0) > 0 ? asked.revents : short{0};
}

// What is asked of every TCP socket of the unit for every other, so asked only once.
struct Seen {
  std::string local;
  std::string remote;
  std::string shown_local;
  std::string shown_remote;
  bool listening = false;
};

const Seen& SeenOf(const FdFacts& file, const CaptureContext& context) {
  std::shared_ptr<const void>& memo = context.Memo(file.id);
  if (!memo) {
    Seen seen;
    seen.local = LocalInetAddress(file.copy);
    seen.remote = RemoteInetAddress(file.copy);
    seen.shown_local = ShowInetAddress(seen.local);
    seen.shown_remote = ShowInetAddress(seen.remote);
    seen.listening = IntOption(file.copy, SO_ACCEPTCONN) != 0;
    memo = std::make_shared<const Seen>(std::move(seen));
  }
  return *static_cast<const Seen*>(memo.get());
}

class Capture {
 public:
  Capture(const FdFacts& file, const CaptureContext& context)
      : file_(file), context_(context), info_(InfoOf(file.copy)) {}

  Result<Payload> Run() {
    message_.set_domain(static_cast<uint32_t>(IntOption(file_.copy, SO_DOMAIN)));
    message_.set_flags(file_.info.flags & O_NONBLOCK);
    const Seen& seen = SeenOf(file_, context_);
    message_.set_local(seen.local);
    message_.set_remote(seen.remote);
    BATON_CHECKED(CheckProtocols());
    BATON_CHECKED(CaptureState());
    BATON_TRY(*message_.mutable_options(), CaptureSocketOptions(file_.copy, TcpOptions()));
    BATON_TRY(*message_.mutable_owner(), CaptureOwner(file_, context_));
    return std::move(message_);
  }

 private:
  Result<> CheckProtocols() const {
    std::array<char, 32> name{};
    socklen_t length = name.size();
    const bool layered = getsockopt(file_.copy, IPPROTO_TCP, TCP_ULP, name.data(), &length) == 0 && length > 0;
    if (!layered || name.front() == '\0') return {};
    return NotSupported("has {} in the kernel (TCP_ULP), whose state cannot be read", name.data());
  }

  Result<> CaptureState() {
    switch (info_.tcpi_state) {
      case kListen:
        return CaptureListening();
      case kClose:
        return CaptureClosed();
      case kSynSent:
      case kSynReceived:
        return MakeError(ErrorCode::kUnavailable, "is being connected to {}; try again when it is",
                         ShowInetAddress(message_.remote()));
      default:
        return CaptureConnection();
    }
  }

  // tcp_info has the length of the queue, and its limit, in these two.
  Result<> CaptureListening() {
    message_.set_state(Payload::LISTENING);
    message_.set_backlog(info_.tcpi_sacked);
    std::vector<const FdFacts*> waiting;
    for (const FdFacts& other : context_.files()) {
      if (!IsTcpSocket(other) || InfoOf(other.copy).tcpi_state != kEstablished || FindPeer(other) != nullptr) continue;
      if (FindListener(other) == &file_) waiting.push_back(&other);
    }
    if (waiting.size() < info_.tcpi_unacked && !context_.ResetsTcpOutside()) {
      return MakeError(ErrorCode::kUnavailable,
                       "{} connections to {} from outside the unit wait to be accepted; try again when they are",
                       info_.tcpi_unacked - waiting.size(), ShowInetAddress(message_.local()));
    }
    std::ranges::stable_sort(waiting, std::greater<>(),
                             [](const FdFacts* client) { return InfoOf(client->copy).tcpi_last_data_sent; });
    for (const FdFacts* client : waiting) message_.add_waiting(client->id);
    return {};
  }

  // Never connected, or not any more: reading then ends instead of failing.
  Result<> CaptureClosed() {
    const bool failed = (PollOf(file_.copy) & POLLERR) != 0;
    char byte = 0;
    // Reading would take a pending error away.
    const ssize_t got = failed ? 0 : recv(file_.copy, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    if (const int error = errno; got < 0 && error == ENOTCONN) return {};
    message_.set_state(Payload::PEER_GONE);
    message_.set_end(failed ? Payload::RESET : Payload::OVER);
    message_.clear_local();
    BATON_TRY(*message_.mutable_content(), PeekTcpBytes(file_.copy, -1));
    return {};
  }

  Result<> CaptureConnection() {
    CaptureShutdown();
    if (const FdFacts* peer = FindPeer(file_)) {
      message_.set_state(Payload::CONNECTED);
      message_.set_peer(peer->id);
      BATON_TRY(*message_.mutable_content(), PeekTcpBytes(file_.copy, peer->copy));
      return {};
    }
    BATON_TRY(auto other, FindTcpSocket(file_.host_pid, message_.remote(), message_.local()));
    if (other && other->state == kListen) other.reset();
    if (other && other->inode == 0 && other->state == kEstablished) return CaptureWaiting();
    const bool ended = info_.tcpi_state == kCloseWait || info_.tcpi_state == kLastAck || info_.tcpi_state == kClosing ||
                       info_.tcpi_state == kTimeWait;
    if (ended && (other ? other->inode == 0 : IsLocal(message_.remote()))) {
      message_.set_state(Payload::PEER_GONE);
      BATON_TRY(*message_.mutable_content(), PeekTcpBytes(file_.copy, -1));
      return {};
    }
    return Outside(other);
  }

  // Its own part: that the other end has shut its half down, comes from there.
  void CaptureShutdown() {
    uint32_t halves = 0;
    const uint8_t state = info_.tcpi_state;
    if (state != kEstablished && state != kCloseWait) halves |= kNoWriting;
    const bool before_end = state == kEstablished || state == kFinWait1 || state == kFinWait2;
    if (before_end && (PollOf(file_.copy) & POLLRDHUP) != 0) halves |= kNoReading;
    message_.set_shutdown(halves);
  }

  Result<> CaptureWaiting() {
    const FdFacts* listener = FindListener(file_);
    if (listener == nullptr && context_.ResetsTcpOutside()) return CaptureAsReset();
    if (listener == nullptr) {
      return NotSupported("waits to be accepted at {}, outside the unit: save that process too, or close it first",
                          ShowInetAddress(message_.remote()));
    }
    if (info_.tcpi_bytes_sent > 0 || info_.tcpi_state != kEstablished) {
      return MakeError(ErrorCode::kUnavailable,
                       "bytes were sent on a connection to {} that is not accepted yet, and cannot be seen; try again "
                       "when the program has accepted it",
                       ShowInetAddress(message_.remote()));
    }
    message_.set_state(Payload::WAITING);
    message_.set_peer(listener->id);
    return {};
  }

  Result<> CaptureAsReset() {
    message_.set_state(Payload::PEER_GONE);
    message_.set_end(Payload::RESET);
    message_.clear_local();
    BATON_TRY(*message_.mutable_content(), PeekTcpBytes(file_.copy, -1));
    return {};
  }

  Result<> Outside(const std::optional<InetDiag>& other) {
    if (context_.ResetsTcpOutside()) return CaptureAsReset();
    return NotSupported(
        "is connected to {} ({}), which is outside the unit: save that process too, close it first, or "
        "let it be reset with --tcp close",
        ShowInetAddress(message_.remote()), other ? DescribeSocketHolder(other->inode) : "on another machine");
  }

  static bool IsLocal(std::string_view address) {
    const bool v4 = IsInetAddress(address, AF_INET);
    const int made = socket(v4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (made < 0) return false;
    const UniqueFd probe(made);
    return BindTo(probe.get(), WithPort(address, 0)).has_value();
  }

  const FdFacts* FindPeer(const FdFacts& file) const {
    const Seen& seen = SeenOf(file, context_);
    const auto files = context_.files();
    const auto found = std::ranges::find_if(files, [&](const FdFacts& other) {
      if (&other == &file || !IsTcpSocket(other)) return false;
      const Seen& end = SeenOf(other, context_);
      return end.shown_local == seen.shown_remote && end.shown_remote == seen.shown_local;
    });
    return found == files.end() ? nullptr : &*found;
  }

  // The listening socket of the unit that `client` has connected to.
  const FdFacts* FindListener(const FdFacts& client) const {
    const Seen& seen = SeenOf(client, context_);
    const auto files = context_.files();
    const auto found = std::ranges::find_if(files, [&](const FdFacts& other) {
      if (seen.remote.empty() || !IsTcpSocket(other)) return false;
      const Seen& end = SeenOf(other, context_);
      return end.listening && PortOf(end.local) == PortOf(seen.remote) &&
             (IsAnyAddress(end.local) || end.shown_local == seen.shown_remote);
    });
    return found == files.end() ? nullptr : &*found;
  }

  const FdFacts& file_;
  const CaptureContext& context_;
  tcp_info info_;
  Payload message_;
};

}  // namespace

bool IsTcpSocket(const FdFacts& file) {
  if (!file.IsSocket()) return false;
  const int domain = IntOption(file.copy, SO_DOMAIN);
  return (domain == AF_INET || domain == AF_INET6) && IntOption(file.copy, SO_PROTOCOL) == IPPROTO_TCP;
}

Result<Payload> CaptureTcpSocket(const FdFacts& file, const CaptureContext& context) {
  return Capture(file, context).Run();
}

}  // namespace baton
