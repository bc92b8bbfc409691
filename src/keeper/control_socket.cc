#include "keeper/control_socket.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <utility>

#include "base/file.h"
#include "keeper/socket_address.h"

namespace baton {
namespace {

constexpr size_t kMaxPacket = size_t{128} << 10;

Result<UniqueFd> NewSocket(int extra_flags) {
  const int raw = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | extra_flags, 0);
  if (const int error = errno; raw < 0) return ErrnoError(error, "socket");
  return UniqueFd(raw);
}

bool PeerMayAsk(int socket) {
  ucred peer{};
  socklen_t size = sizeof(peer);
  if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return false;
  return peer.uid == 0 || peer.uid == geteuid();
}

Result<> SendPacket(int socket, const google::protobuf::MessageLite& message) {
  const std::string bytes = message.SerializeAsString();
  ssize_t sent = 0;
  int error = 0;
  do {
    sent = send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    error = errno;
  } while (sent < 0 && error == EINTR);
  if (sent < 0) return ErrnoError(error, "send {} bytes", bytes.size());
  return {};
}

// Empty when the other side has closed.
Result<std::string> ReceivePacket(int socket) {
  std::string bytes(kMaxPacket, '\0');
  ssize_t got = 0;
  int error = 0;
  do {
    got = recv(socket, bytes.data(), bytes.size(), 0);
    error = errno;
  } while (got < 0 && error == EINTR);
  if (got < 0 && error == ECONNRESET) got = 0;
  if (got < 0) return ErrnoError(error, "receive");
  bytes.resize(static_cast<size_t>(got));
  return bytes;
}

ErrorCode CodeOfName(const std::string& name) {
  constexpr std::array kCodes{ErrorCode::kNotFound, ErrorCode::kInvalidArgument, ErrorCode::kNotSupported,
                              ErrorCode::kTaskGone, ErrorCode::kCorrupt,         ErrorCode::kIo,
                              ErrorCode::kConflict, ErrorCode::kUnavailable};
  for (const ErrorCode code : kCodes) {
    if (ErrorCodeName(code) == name) return code;
  }
  return ErrorCode::kInternal;
}

}  // namespace

pb::ControlReply ErrorReply(const Error& error) {
  pb::ControlReply reply;
  reply.mutable_error()->set_code(std::string(ErrorCodeName(error.code())));
  reply.mutable_error()->set_message(error.ToString());
  return reply;
}

ControlServer::ControlServer(UniqueFd listener, std::string path, EventLoop* loop, Handler handler)
    : listener_(std::move(listener)), path_(std::move(path)), loop_(loop), handler_(std::move(handler)) {
  loop_->Watch(listener_.get(), POLLIN, [this](short) { return OnConnect(); });
}

ControlServer::~ControlServer() {
  unlink(path_.c_str());
  loop_->Unwatch(listener_.get());
  for (const auto& [id, socket] : clients_) loop_->Unwatch(socket.get());
}

Result<std::unique_ptr<ControlServer>> ControlServer::Listen(const std::string& path, EventLoop* loop,
                                                             Handler handler) {
  BATON_CHECKED(MakeDirectories(path.substr(0, path.rfind('/'))));
  BATON_TRY(UniqueFd listener, NewSocket(SOCK_NONBLOCK));
  BATON_TRY(const SocketAddress address, AddressOfSocket(path));
  unlink(path.c_str());  // of a keeper that died; we hold the lock
  // No other mode in between: the umask makes it 0600 from the start.
  const mode_t old_mask = umask(0177);
  const int bound = bind(listener.get(), reinterpret_cast<const sockaddr*>(&address.address), sizeof(address.address));
  const int error = errno;
  umask(old_mask);
  if (bound != 0) return ErrnoError(error, "bind {}", path);
  const int listening = listen(listener.get(), 16);
  if (const int listen_error = errno; listening != 0) return ErrnoError(listen_error, "listen on {}", path);
  return std::unique_ptr<ControlServer>(new ControlServer(std::move(listener), path, loop, std::move(handler)));
}

Result<> ControlServer::OnConnect() {
  const int raw = accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC);
  if (raw < 0) return {};  // the client went away again, or we have no descriptors: no reason to end a job
  UniqueFd socket(raw);
  if (!PeerMayAsk(raw)) return {};
  const ClientId id = next_client_++;
  loop_->Watch(raw, POLLIN, [this, id](short) { return OnRequest(id); });
  clients_.emplace(id, std::move(socket));
  return {};
}

void ControlServer::Drop(ClientId client) {
  const auto found = clients_.find(client);
  if (found == clients_.end()) return;
  loop_->Unwatch(found->second.get());
  clients_.erase(found);
}

Result<> ControlServer::OnRequest(ClientId client) {
  const auto found = clients_.find(client);
  if (found == clients_.end()) return {};
  const auto bytes = ReceivePacket(found->second.get());
  pb::ControlRequest request;
  if (!bytes || bytes->empty() || !request.ParseFromString(*bytes)) {
    Drop(client);
    return {};
  }
  if (request.version() != kControlVersion) {
    Reply(client, ErrorReply(MakeError(ErrorCode::kNotSupported,
                                       "this keeper speaks version {} of the control protocol", kControlVersion)));
    return {};
  }
  if (const auto reply = handler_(client, request)) Reply(client, *reply);
  return {};
}

void ControlServer::Reply(ClientId client, const pb::ControlReply& reply) {
  const auto found = clients_.find(client);
  if (found == clients_.end()) return;
  pb::ControlReply versioned = reply;
  versioned.set_version(kControlVersion);
  if (!SendPacket(found->second.get(), versioned)) Drop(client);
}

Result<pb::ControlReply> CallKeeper(const std::string& path, pb::ControlRequest request) {
  request.set_version(kControlVersion);
  BATON_TRY(const UniqueFd socket, NewSocket(0));
  BATON_TRY(const SocketAddress address, AddressOfSocket(path));
  const int connected =
      connect(socket.get(), reinterpret_cast<const sockaddr*>(&address.address), sizeof(address.address));
  if (const int error = errno; connected != 0) {
    return Error(ErrorCode::kUnavailable, error, fmt::format("its keeper does not answer on {}", path));
  }
  BATON_CHECKED(SendPacket(socket.get(), request));
  BATON_TRY(const std::string bytes, ReceivePacket(socket.get()));
  pb::ControlReply reply;
  if (bytes.empty()) return MakeError(ErrorCode::kUnavailable, "its keeper ended before it answered");
  if (!reply.ParseFromString(bytes)) return MakeError(ErrorCode::kCorrupt, "its keeper's answer cannot be read");
  if (reply.has_error()) return Error(CodeOfName(reply.error().code()), reply.error().message());
  return reply;
}

}  // namespace baton
