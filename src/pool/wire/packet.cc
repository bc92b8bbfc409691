#include "pool/wire/packet.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

namespace baton {
namespace {

constexpr uint32_t kVersion = 1;
// More than any report has; a packet that is longer is none of ours.
constexpr size_t kMaxPacket = size_t{1} << 20;

Result<sockaddr_un> AddressOf(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) {
    return MakeError(ErrorCode::kInvalidArgument, "{}: longer than the name of a socket may be ({} bytes)", path,
                     sizeof(address.sun_path) - 1);
  }
  memcpy(address.sun_path, path.c_str(), path.size());
  return address;
}

Result<UniqueFd> NewSocket() {
  const int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (const int error = errno; fd < 0) return ErrnoError(error, "socket");
  return UniqueFd(fd);
}

template <typename Message>
Result<> Send(int fd, Message* message) {
  message->set_version(kVersion);
  const std::string bytes = message->SerializeAsString();
  const ssize_t sent = send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  const int error = errno;
  if (sent == static_cast<ssize_t>(bytes.size())) return {};
  if (error == EPIPE || error == ECONNRESET || error == EAGAIN) {
    return MakeError(ErrorCode::kUnavailable, "the other side is gone, or does not read");
  }
  return ErrnoError(error, "send {} bytes", bytes.size());
}

template <typename Message>
Result<std::optional<Message>> Receive(int fd) {
  std::vector<char> bytes(kMaxPacket);
  const ssize_t got = recv(fd, bytes.data(), bytes.size(), MSG_TRUNC);
  const int error = errno;
  if (got < 0 && (error == EAGAIN || error == EINTR)) return std::nullopt;
  if (got == 0 || (got < 0 && error == ECONNRESET)) return MakeError(ErrorCode::kUnavailable, "hung up");
  if (got < 0) return ErrnoError(error, "recv");
  Message message;
  if (static_cast<size_t>(got) > bytes.size() || !message.ParseFromArray(bytes.data(), static_cast<int>(got))) {
    return MakeError(ErrorCode::kCorrupt, "a packet of {} bytes that is no message", got);
  }
  if (message.version() != kVersion) {
    return MakeError(ErrorCode::kNotSupported, "version {} of the protocol; this Baton speaks {}", message.version(),
                     kVersion);
  }
  return message;
}

}  // namespace

Result<UniqueFd> ListenForKeepers(const std::string& path, uid_t user) {
  BATON_TRY(const sockaddr_un address, AddressOf(path));
  BATON_TRY(UniqueFd listener, NewSocket());
  unlink(path.c_str());
  // Before anybody can connect.
  const mode_t before = umask(0177);
  const int bound = bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address));
  const int error = errno;
  umask(before);
  if (bound != 0) return ErrnoError(error, "bind {}", path);
  const int given = user == geteuid() ? 0 : chown(path.c_str(), user, static_cast<gid_t>(-1));
  if (const int failed = errno; given != 0) return ErrnoError(failed, "give {} to user {}", path, user);
  const int listening = listen(listener.get(), SOMAXCONN);
  if (const int failed = errno; listening != 0) return ErrnoError(failed, "listen at {}", path);
  return listener;
}

Result<std::optional<UniqueFd>> AcceptKeeper(int listener, uid_t user) {
  const int fd = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
  const int error = errno;
  if (fd < 0 && (error == EAGAIN || error == ECONNABORTED || error == EINTR)) return std::nullopt;
  if (fd < 0) return ErrnoError(error, "accept");
  UniqueFd keeper(fd);
  ucred peer{};
  socklen_t size = sizeof(peer);
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return std::nullopt;
  if (peer.uid != 0 && peer.uid != user) return std::nullopt;
  return std::optional(std::move(keeper));
}

Result<UniqueFd> ConnectToWorker(const std::string& path) {
  BATON_TRY(const sockaddr_un address, AddressOf(path));
  BATON_TRY(UniqueFd fd, NewSocket());
  const int connected = connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address));
  const int error = errno;
  if (connected == 0) return fd;
  if (error == ENOENT || error == ECONNREFUSED || error == EAGAIN) {
    return MakeError(ErrorCode::kUnavailable, "no worker listens at {}", path);
  }
  return ErrnoError(error, "connect to {}", path);
}

Result<> SendPacket(int fd, pb::FromKeeper message) { return Send(fd, &message); }
Result<> SendPacket(int fd, pb::ToKeeper message) { return Send(fd, &message); }
Result<std::optional<pb::FromKeeper>> ReceiveFromKeeper(int fd) { return Receive<pb::FromKeeper>(fd); }
Result<std::optional<pb::ToKeeper>> ReceiveToKeeper(int fd) { return Receive<pb::ToKeeper>(fd); }

}  // namespace baton
