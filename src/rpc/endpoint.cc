#include "rpc/endpoint.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <utility>

#include "base/file.h"

namespace baton {
namespace {

// sockaddr of any family, with its length.
struct Address {
  sockaddr_storage storage{};
  socklen_t size = 0;
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

Address UnixAddress(const std::string& path) {
  Address address;
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  memcpy(name.sun_path, path.c_str(), path.size());
  memcpy(&address.storage, &name, sizeof(name));
  address.size = sizeof(name);
  return address;
}

Address LoopbackAddress(bool ipv6, uint16_t port) {
  Address address;
  if (ipv6) {
    sockaddr_in6 name{};
    name.sin6_family = AF_INET6;
    name.sin6_addr = in6addr_loopback;
    name.sin6_port = htons(port);
    memcpy(&address.storage, &name, sizeof(name));
    address.size = sizeof(name);
  } else {
    sockaddr_in name{};
    name.sin_family = AF_INET;
    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    name.sin_port = htons(port);
    memcpy(&address.storage, &name, sizeof(name));
    address.size = sizeof(name);
  }
  return address;
}

Result<UniqueFd> NewSocket(int family) {
  const int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (const int error = errno; fd < 0) return ErrnoError(error, "socket");
  if (family != AF_UNIX) {
    // A call is small, and somebody waits for it.
    const int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  }
  return UniqueFd(fd);
}

Result<uint16_t> BoundPort(int fd) {
  sockaddr_storage name{};
  socklen_t size = sizeof(name);
  const int got = getsockname(fd, reinterpret_cast<sockaddr*>(&name), &size);
  if (const int error = errno; got != 0) return ErrnoError(error, "getsockname");
  sockaddr_in ipv4{};
  sockaddr_in6 ipv6{};
  memcpy(&ipv4, &name, sizeof(ipv4));
  memcpy(&ipv6, &name, sizeof(ipv6));
  return ntohs(name.ss_family == AF_INET6 ? ipv6.sin6_port : ipv4.sin_port);
}

// The errno of a connection that is being made. On one machine it is there, or refused, at once.
int AwaitConnection(int fd) {
  constexpr int kPatienceMs = 1'000;
  pollfd waiting{.fd = fd, .events = POLLOUT, .revents = 0};
  if (poll(&waiting, 1, kPatienceMs) != 1) return ECONNREFUSED;
  int error = 0;
  socklen_t size = sizeof(error);
  return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 ? error : errno;
}

Result<uint16_t> ParsePort(const std::string& text) {
  uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) {
    return MakeError(ErrorCode::kInvalidArgument, "'{}' is no port (0 to 65535)", text);
  }
  return port;
}

}  // namespace

Result<Endpoint> Endpoint::Parse(const std::string& text) {
  Endpoint endpoint;
  if (text.starts_with("unix:")) {
    endpoint.path_ = text.substr(5);
    if (!endpoint.path_.starts_with('/') || endpoint.path_.size() >= sizeof(sockaddr_un::sun_path)) {
      return MakeError(ErrorCode::kInvalidArgument, "{}: the path of a socket is absolute and has at most {} bytes",
                       text, sizeof(sockaddr_un::sun_path) - 1);
    }
    return endpoint;
  }
  const size_t colon = text.rfind(':');
  const std::string host = text.substr(0, colon);
  endpoint.ipv6_ = host == "[::1]";
  if (colon == std::string::npos || (host != "127.0.0.1" && !endpoint.ipv6_)) {
    return MakeError(ErrorCode::kInvalidArgument,
                     "{}: only unix:/PATH, 127.0.0.1:PORT and [::1]:PORT; without TLS, which this Baton does not have, "
                     "other machines could listen in and give orders",
                     text);
  }
  BATON_TRY(endpoint.port_, ParsePort(text.substr(colon + 1)));
  return endpoint;
}

std::string Endpoint::ToString() const {
  if (is_unix()) return "unix:" + path_;
  return fmt::format("{}:{}", ipv6_ ? "[::1]" : "127.0.0.1", port_);
}

Result<UniqueFd> Endpoint::Listen(Endpoint* endpoint) {
  if (endpoint->is_unix()) {
    if (endpoint->Connect()) return MakeError(ErrorCode::kConflict, "{}: another one listens", endpoint->ToString());
    unlink(endpoint->path_.c_str());
  }
  BATON_TRY(UniqueFd fd, NewSocket(endpoint->is_unix() ? AF_UNIX : endpoint->ipv6_ ? AF_INET6 : AF_INET));
  const Address address =
      endpoint->is_unix() ? UnixAddress(endpoint->path_) : LoopbackAddress(endpoint->ipv6_, endpoint->port_);
  // Before anybody can connect.
  const mode_t before = umask(0177);
  const int bound = bind(fd.get(), address.get(), address.size);
  const int error = errno;
  umask(before);
  if (bound != 0) return ErrnoError(error, "listen at {}", endpoint->ToString());
  const int listening = listen(fd.get(), SOMAXCONN);
  if (const int failed = errno; listening != 0) return ErrnoError(failed, "listen at {}", endpoint->ToString());
  if (!endpoint->is_unix()) {
    BATON_TRY(endpoint->port_, BoundPort(fd.get()));
  }
  return fd;
}

Result<UniqueFd> Endpoint::Connect() const {
  BATON_TRY(UniqueFd fd, NewSocket(is_unix() ? AF_UNIX : ipv6_ ? AF_INET6 : AF_INET));
  const Address address = is_unix() ? UnixAddress(path_) : LoopbackAddress(ipv6_, port_);
  const int connected = connect(fd.get(), address.get(), address.size);
  int error = connected == 0 ? 0 : errno;
  if (error == EINPROGRESS) error = AwaitConnection(fd.get());
  if (error == 0) return fd;
  if (error == ENOENT || error == ECONNREFUSED || error == EAGAIN) {
    return MakeError(ErrorCode::kUnavailable, "no controller listens at {}", ToString());
  }
  return ErrnoError(error, "connect to {}", ToString());
}

std::optional<uid_t> PeerUser(int fd) {
  ucred peer{};
  socklen_t size = sizeof(peer);
  int domain = 0;
  socklen_t domain_size = sizeof(domain);
  if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &domain_size) != 0 || domain != AF_UNIX) return std::nullopt;
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return std::nullopt;
  return peer.uid;
}

Result<std::string> MakeToken(const std::string& path) {
  if (auto known = ReadToken(path); known || known.error().code() != ErrorCode::kNotFound) return known;
  std::array<unsigned char, 32> bytes{};
  const ssize_t got = getrandom(bytes.data(), bytes.size(), 0);
  if (const int error = errno; got != static_cast<ssize_t>(bytes.size())) return ErrnoError(error, "getrandom");
  std::string token;
  for (const unsigned char byte : bytes) token += fmt::format("{:02x}", byte);
  BATON_CHECKED(WriteFileDurably(path, token + "\n", 0600));
  return token;
}

Result<std::string> ReadToken(const std::string& path) {
  BATON_TRY(const UniqueFd file, OpenFile(path, O_RDONLY));
  struct stat status{};
  const int got = fstat(file.get(), &status);
  if (const int error = errno; got != 0) return ErrnoError(error, "stat {}", path);
  if ((status.st_mode & 077) != 0 || (status.st_uid != geteuid() && status.st_uid != 0)) {
    return MakeError(ErrorCode::kInvalidArgument, "{}: others can read this token (mode {:o}): chmod 600", path,
                     status.st_mode & 0777);
  }
  constexpr size_t kMaxToken = 4'096;
  BATON_TRY(std::string token, ReadFd(file.get(), kMaxToken));
  while (!token.empty() && token.back() == '\n') token.pop_back();
  constexpr size_t kMinToken = 32;
  if (token.size() < kMinToken) return MakeError(ErrorCode::kCorrupt, "{}: a token is longer", path);
  return token;
}

}  // namespace baton
