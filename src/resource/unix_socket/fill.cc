#include "resource/unix_socket/fill.h"

#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

namespace baton {
namespace {

constexpr int kSoBufLock = 72;
constexpr int kLargeBuffer = 1 << 29;  // the kernel takes its own limit instead

// A socket's send buffer as large as it may be, while this exists: how full a queue can get depends on it, and on how
// the bytes were cut when they were sent.
class LargeSendBuffer {
 public:
  explicit LargeSendBuffer(int fd) : fd_(fd), bytes_(Get(SO_SNDBUF)), lock_(Get(kSoBufLock)) {
    if (setsockopt(fd_, SOL_SOCKET, SO_SNDBUFFORCE, &kLargeBuffer, sizeof kLargeBuffer) == 0) return;
    setsockopt(fd_, SOL_SOCKET, SO_SNDBUF, &kLargeBuffer, sizeof kLargeBuffer);
  }
  LargeSendBuffer(const LargeSendBuffer&) = delete;
  LargeSendBuffer& operator=(const LargeSendBuffer&) = delete;
  ~LargeSendBuffer() {
    const int half = bytes_ / 2;
    if (setsockopt(fd_, SOL_SOCKET, SO_SNDBUFFORCE, &half, sizeof half) != 0) {
      setsockopt(fd_, SOL_SOCKET, SO_SNDBUF, &half, sizeof half);
    }
    setsockopt(fd_, SOL_SOCKET, kSoBufLock, &lock_, sizeof lock_);
  }

 private:
  int Get(int name) const {
    int value = 0;
    socklen_t length = sizeof value;
    return getsockopt(fd_, SOL_SOCKET, name, &value, &length) == 0 ? value : 0;
  }
  int fd_;
  int bytes_;
  int lock_;
};

void AddControl(std::vector<std::byte>& control, int type, std::span<const std::byte> data) {
  const size_t at = control.size();
  control.resize(at + CMSG_SPACE(data.size()));
  cmsghdr header{};
  header.cmsg_len = CMSG_LEN(data.size());
  header.cmsg_level = SOL_SOCKET;
  header.cmsg_type = type;
  std::memcpy(control.data() + at, &header, sizeof header);
  std::memcpy(control.data() + at + CMSG_LEN(0), data.data(), data.size());
}

Error DoesNotFit(int error, size_t bytes) {
  return ErrnoError(error,
                    "put {} bytes back into the queue of a socket: raise net.core.wmem_max and "
                    "net.unix.max_dgram_qlen to what they were where it was saved",
                    bytes);
}

}  // namespace

Result<> QueueFiller::Fill(const UnixMember& receiver) {
  for (const pb::UnixMessage& message : receiver.message.messages()) {
    BATON_TRY(const Sender sender, SenderOf(receiver, message));
    BATON_CHECKED(Send(sender, receiver, message));
  }
  return {};
}

Result<> QueueFiller::Close() {
  RemoteSockets sockets(context_.holder());
  for (const auto& [key, fd] : gone_) BATON_CHECKED(sockets.Close(fd));
  gone_.clear();
  return {};
}

Result<QueueFiller::Sender> QueueFiller::SenderOf(const UnixMember& receiver, const pb::UnixMessage& message) {
  if (receiver.temporary >= 0) return Sender{receiver.temporary, false};
  const auto peer = members_.find(receiver.message.peer());
  const bool connected = receiver.message.state() == pb::UnixSocketPayload::CONNECTED && peer != members_.end();
  if (receiver.message.type() != SOCK_DGRAM) {
    if (!connected) return MakeError(ErrorCode::kCorrupt, "bytes in a socket that is not connected");
    return Sender{peer->second.fd, false};
  }
  if (receiver.paired && connected) return Sender{peer->second.fd, false};
  const auto sender = members_.find(message.sender());
  if (sender != members_.end()) return Sender{sender->second.fd, true};
  BATON_TRY(const int gone, Gone(receiver, message.sender_name()));
  return Sender{gone, true};
}

Result<int> QueueFiller::Gone(const UnixMember& receiver, const std::string& name) {
  const auto known = gone_.find({receiver.message.type(), name});
  if (known != gone_.end()) return known->second;
  RemoteSockets sockets(context_.holder());
  BATON_TRY(const int fd, sockets.Make(AF_UNIX, static_cast<int>(receiver.message.type()), 0));
  gone_[{receiver.message.type(), name}] = fd;
  BATON_CHECKED(names_.BindHidden(fd, name));
  return fd;
}

Result<> QueueFiller::Send(const Sender& sender, const UnixMember& receiver, const pb::UnixMessage& message) {
  BATON_TRY(const UniqueFd copy, context_.CopyFromHolder(sender.fd));
  const LargeSendBuffer large(copy.get());
  if (message.has_credentials()) return SendFromHolder(sender, receiver, message);
  return SendFromHere(copy.get(), receiver, sender.addressed, message);
}

Result<> QueueFiller::SendFromHere(int sender, const UnixMember& receiver, bool addressed,
                                   const pb::UnixMessage& message) {
  std::vector<UniqueFd> files;
  std::vector<int> numbers;
  for (const uint32_t id : message.files()) {
    BATON_TRY(const int made, context_.Made(id));
    BATON_TRY(UniqueFd copy, context_.CopyFromHolder(made));
    numbers.push_back(copy.get());
    files.push_back(std::move(copy));
  }
  std::optional<UniqueFd> place;
  std::vector<std::byte> address;
  if (addressed) {
    BATON_TRY(address, names_.OwnAddressOf(receiver.fd, place));
  }
  std::vector<std::byte> control;
  if (!numbers.empty()) AddControl(control, SCM_RIGHTS, std::as_bytes(std::span(numbers)));
  std::string_view rest = message.content();
  do {
    iovec io{const_cast<char*>(rest.data()), rest.size()};
    msghdr header{};
    header.msg_name = address.empty() ? nullptr : address.data();
    header.msg_namelen = static_cast<socklen_t>(address.size());
    header.msg_iov = &io;
    header.msg_iovlen = 1;
    header.msg_control = control.empty() ? nullptr : control.data();
    header.msg_controllen = control.size();
    const ssize_t sent = sendmsg(sender, &header, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (const int error = errno; sent < 0) return DoesNotFit(error, rest.size());
    rest.remove_prefix(static_cast<size_t>(sent));
    control.clear();
  } while (!rest.empty());
  return {};
}

// Credentials of other processes are for those with rights in the unit's namespaces.
Result<> QueueFiller::SendFromHolder(const Sender& sender, const UnixMember& receiver, const pb::UnixMessage& message) {
  RemoteSyscalls& calls = context_.holder();
  calls.ResetArguments();
  std::vector<int> numbers;
  for (const uint32_t id : message.files()) {
    BATON_TRY(const int made, context_.Made(id));
    numbers.push_back(made);
  }
  std::vector<std::byte> control;
  BATON_TRY(const int64_t holder_pid, calls.Do("getpid", SYS_getpid));
  const pb::UnixCredentials& from = message.credentials();
  const ucred credentials{from.pid() != 0 ? from.pid() : static_cast<pid_t>(holder_pid), from.uid(), from.gid()};
  AddControl(control, SCM_CREDENTIALS, std::as_bytes(std::span(&credentials, 1)));
  if (!numbers.empty()) AddControl(control, SCM_RIGHTS, std::as_bytes(std::span(numbers)));
  std::vector<std::byte> address;
  if (sender.addressed) {
    BATON_TRY(address, names_.AddressOf(receiver.fd));
  }
  calls.ResetArguments();
  msghdr header{};
  iovec io{};
  io.iov_len = message.content().size();
  const auto pointer = [](RemotePtr<> at) { return reinterpret_cast<void*>(at.value()); };
  BATON_TRY(const auto content, calls.Put(std::as_bytes(std::span(message.content()))));
  BATON_TRY(const auto control_at, calls.Put(control));
  BATON_TRY(const auto address_at, calls.Put(address));
  io.iov_base = pointer(content);
  BATON_TRY(const auto io_at, calls.PutValue(io));
  header.msg_name = address.empty() ? nullptr : pointer(address_at);
  header.msg_namelen = static_cast<socklen_t>(address.size());
  header.msg_iov = static_cast<iovec*>(pointer(io_at.As<std::byte>()));
  header.msg_iovlen = 1;
  header.msg_control = pointer(control_at);
  header.msg_controllen = control.size();
  BATON_TRY(const auto at, calls.PutValue(header));
  BATON_TRY(const int64_t sent, calls.Call(SYS_sendmsg, sender.fd, at, MSG_DONTWAIT | MSG_NOSIGNAL));
  if (sent < 0) return DoesNotFit(static_cast<int>(-sent), io.iov_len);
  if (static_cast<size_t>(sent) == io.iov_len) return {};
  return MakeError(ErrorCode::kUnavailable, "only {} of {} bytes fit into the queue of a socket", sent, io.iov_len);
}

}  // namespace baton
