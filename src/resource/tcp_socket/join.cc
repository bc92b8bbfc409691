#include "resource/tcp_socket/join.h"

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <vector>

#include "resource/common/inet_address.h"
#include "resource/common/inet_diag.h"
#include "resource/common/inet_options.h"
#include "resource/common/socket_options.h"

namespace baton {
namespace {

constexpr auto kSecondOrSo = std::chrono::milliseconds(2500);  // then the pair of addresses may be used again
constexpr auto kMinute = std::chrono::seconds(65);             // TCP_TIMEWAIT_LEN
constexpr int kIpLocalPortRange = 51;
constexpr int kAcceptMs = 2000;
constexpr int kPauseMs = 50;

std::string Loopback(uint32_t domain) {
  if (domain == AF_INET) {
    sockaddr_in v4{};
    v4.sin_family = AF_INET;
    v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return {reinterpret_cast<const char*>(&v4), sizeof v4};
  }
  sockaddr_in6 v6{};
  v6.sin6_family = AF_INET6;
  v6.sin6_addr = IN6ADDR_LOOPBACK_INIT;
  return {reinterpret_cast<const char*>(&v6), sizeof v6};
}

void Set(int fd, int level, int name, int value) { setsockopt(fd, level, name, &value, sizeof value); }

Result<> Bind(int own_fd, const std::string& address) {
  Set(own_fd, SOL_SOCKET, SO_REUSEADDR, 1);
  return BindTo(own_fd, address);
}

// A port that an ended connection holds is free for another one all the same, but only to connect(2), which has to
// choose it by itself: so it gets no other choice.
Result<> BindToConnect(int own_fd, const std::string& address) {
  if (address.empty()) return {};
  auto bound = Bind(own_fd, address);
  if (bound || bound.error().saved_errno() != EADDRINUSE) return bound;
  const int port = PortOf(address);
  Set(own_fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
  Set(own_fd, IPPROTO_IP, kIpLocalPortRange, port << 16 | port);
  return BindTo(own_fd, WithPort(address, 0));
}

Result<> Listen(int own_fd, int backlog) {
  const int listening = listen(own_fd, backlog);
  if (const int error = errno; listening != 0) {
    return ErrnoError(error, "listen at {}", ShowInetAddress(LocalInetAddress(own_fd)));
  }
  return {};
}

// Whether an address may be free in a while.
class Patience {
 public:
  Patience(RestoreContext& context, std::vector<std::string> addresses)
      : context_(context), addresses_(std::move(addresses)) {}

  bool Wait(const Error& error) {
    const auto waited = std::chrono::steady_clock::now() - begin_;
    const bool in_use = error.saved_errno() == EADDRINUSE;
    if ((!in_use && error.saved_errno() != EADDRNOTAVAIL) || waited > kMinute) return false;
    if (waited > kSecondOrSo && !IsHeldByEnded()) return false;
    poll(nullptr, 0, kPauseMs);
    return true;
  }

 private:
  bool IsHeldByEnded() {
    return std::ranges::any_of(addresses_, [this](const std::string& address) {
      const auto held =
          address.empty() ? Result<bool>(false) : IsHeldByEndedConnection(context_.holder().pid(), address);
      return held && *held;
    });
  }

  RestoreContext& context_;
  std::vector<std::string> addresses_;
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};

// A socket in the holder, and our copy of it; closed with this unless it is moved to its place.
class Made {
 public:
  static Result<Made> Make(const TcpEnd& end, const std::string& address, RestoreContext& context) {
    BATON_TRY(const int fd, RemoteSockets(context.holder()).Make(static_cast<int>(end.domain), SOCK_STREAM, 0));
    auto copy = context.CopyFromHolder(fd);
    if (!copy) return copy.Fail();
    Made made(fd, std::move(*copy), context);
    if (end.options != nullptr) {
      BATON_CHECKED(SetBeforeBind(*end.options, made.own()));
    }
    if (!address.empty()) BATON_CHECKED(Bind(made.own(), address));
    return made;
  }
  Made(int fd, UniqueFd copy, RestoreContext& context) : fd_(fd), copy_(std::move(copy)), context_(context) {}
  Made(Made&& other) noexcept
      : fd_(std::exchange(other.fd_, -1)), copy_(std::move(other.copy_)), context_(other.context_) {}
  Made& operator=(Made&&) = delete;
  ~Made() {
    if (fd_ >= 0) [[maybe_unused]]
      auto closed = RemoteSockets(context_.holder()).Close(fd_);
  }

  int own() const { return copy_.get(); }
  int fd() const { return fd_; }
  Result<> MoveTo(int fd) { return RemoteSockets(context_.holder()).Move(std::exchange(fd_, -1), fd); }

 private:
  int fd_;
  UniqueFd copy_;
  RestoreContext& context_;
};

class Joiner {
 public:
  explicit Joiner(RestoreContext& context) : context_(context) {}

  Result<> Join(const TcpEnd& client, const TcpEnd& server) {
    const std::string at = server.address.empty() ? Loopback(server.domain) : InDomain(server.address, server.domain);
    BATON_TRY(const Made listener, Made::Make(server, at, context_));
    BATON_CHECKED(Listen(listener.own(), 1));
    BATON_TRY(Made connecting, Made::Make(client, "", context_));
    BATON_CHECKED(BindToConnect(connecting.own(), InDomain(client.address, client.domain)));
    BATON_CHECKED(ConnectTo(connecting.own(), InDomain(LocalInetAddress(listener.own()), client.domain)));
    BATON_TRY(const int accepted, Accept(listener, LocalInetAddress(connecting.own())));
    BATON_CHECKED(RemoteSockets(context_.holder()).Move(accepted, server.fd));
    return connecting.MoveTo(client.fd);
  }

 private:
  // Others may connect at this moment, too: the port is known to the world.
  Result<int> Accept(const Made& listener, const std::string& client) {
    while (true) {
      pollfd asked{.fd = listener.own(), .events = POLLIN, .revents = 0};
      if (poll(&asked, 1, kAcceptMs) <= 0) {
        return MakeError(ErrorCode::kUnavailable, "no answer from {}", ShowInetAddress(client));
      }
      RemoteSockets sockets(context_.holder());
      BATON_TRY(const int accepted, sockets.Accept(listener.fd()));
      BATON_TRY(const UniqueFd copy, context_.CopyFromHolder(accepted));
      if (ShowInetAddress(RemoteInetAddress(copy.get())) == ShowInetAddress(client)) return accepted;
      BATON_CHECKED(sockets.Close(accepted));
    }
  }

  RestoreContext& context_;
};

}  // namespace

// A connection that has ended may hold its pair of addresses for a while, seen from one of its ends: the other
// direction is free then. Not always: after a second crash the port of either end may be held for a minute, one by a
// connection that was bound without SO_REUSEADDR, one by bind(2), which leaves it to no connect(2).
Result<> JoinTcp(const TcpEnd& a, const TcpEnd& b, RestoreContext& context) {
  Patience patience(context, {a.address, b.address});
  while (true) {
    auto joined = Joiner(context).Join(a, b);
    if (joined) return {};
    if (Joiner(context).Join(b, a)) return {};
    if (!patience.Wait(joined.error())) return joined;
  }
}

Result<> SetBeforeBind(const pb::SocketOptions& options, int own_fd) {
  BATON_CHECKED(RestoreSocketOptions(options, TcpOptions(), OptionTime::kBeforeBind, own_fd));
  return RestoreSocketOptions(options, TcpOptions(), OptionTime::kFirst, own_fd);
}

Result<> BindAgain(int own_fd, const std::string& address, std::optional<int> backlog, const std::string& remote,
                   RestoreContext& context) {
  Patience patience(context, {address});
  while (true) {
    const bool bound_already = address.empty() || !LocalInetAddress(own_fd).empty();
    auto done = bound_already ? Result<>() : remote.empty() ? Bind(own_fd, address) : BindToConnect(own_fd, address);
    if (done && backlog) done = Listen(own_fd, *backlog);
    if (done && !remote.empty()) done = ConnectTo(own_fd, remote);
    if (done || !patience.Wait(done.error())) return done;
  }
}

}  // namespace baton
