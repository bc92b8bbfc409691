#include "resource/unix_socket/queue.h"

#include <linux/sockios.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace baton {
namespace {

constexpr size_t kControlBytes = 4096;  // 253 descriptors, credentials, time stamps
constexpr int kScmPidfd = 4;            // younger than the C library's headers

class PeekOffset {
 public:
  static Result<PeekOffset> Begin(int fd) {
    int before = -1;
    socklen_t length = sizeof before;
    const int got = getsockopt(fd, SOL_SOCKET, SO_PEEK_OFF, &before, &length);
    if (const int error = errno; got != 0) return ErrnoError(error, "SO_PEEK_OFF");
    PeekOffset offset(fd, before);
    BATON_CHECKED(offset.Set(0));
    return offset;
  }
  PeekOffset(PeekOffset&& other) noexcept : fd_(std::exchange(other.fd_, -1)), before_(other.before_) {}
  PeekOffset& operator=(PeekOffset&&) = delete;
  ~PeekOffset() {
    if (fd_ >= 0) setsockopt(fd_, SOL_SOCKET, SO_PEEK_OFF, &before_, sizeof before_);
  }
  // NOLINTNEXTLINE(readability-make-member-function-const): changes the socket
  Result<> Set(size_t to) {
    const int value = static_cast<int>(to);
    const int set = setsockopt(fd_, SOL_SOCKET, SO_PEEK_OFF, &value, sizeof value);
    if (const int error = errno; set != 0) return ErrnoError(error, "SO_PEEK_OFF");
    return {};
  }

 private:
  PeekOffset(int fd, int before) : fd_(fd), before_(before) {}
  int fd_;
  int before_;
};

void TakeFiles(const cmsghdr& control, std::vector<UniqueFd>& files) {
  const size_t count = (control.cmsg_len - CMSG_LEN(0)) / sizeof(int);
  for (size_t i = 0; i < count; ++i) {
    int fd = -1;
    std::memcpy(&fd, CMSG_DATA(&control) + i * sizeof fd, sizeof fd);
    if (fd >= 0) files.emplace_back(fd);
  }
}

void TakeControl(msghdr& header, QueuedMessage& message) {
  std::vector<UniqueFd> dropped;
  for (cmsghdr* control = CMSG_FIRSTHDR(&header); control != nullptr; control = CMSG_NXTHDR(&header, control)) {
    if (control->cmsg_level != SOL_SOCKET) continue;
    if (control->cmsg_type == SCM_RIGHTS) TakeFiles(*control, message.files);
    if (control->cmsg_type == kScmPidfd) TakeFiles(*control, dropped);
    if (control->cmsg_type != SCM_CREDENTIALS) continue;
    ucred credentials{};
    std::memcpy(&credentials, CMSG_DATA(control), sizeof credentials);
    if (credentials.pid != 0) message.credentials = credentials;
  }
}

// The next part of the queue, of at most `room` bytes; none at its end. `length` is that of the whole datagram.
Result<std::optional<QueuedMessage>> PeekNext(int fd, size_t room, size_t& length) {
  QueuedMessage message;
  message.content.resize(room);
  sockaddr_un sender{};
  alignas(cmsghdr) std::array<std::byte, kControlBytes> control{};
  iovec io{message.content.data(), room};
  msghdr header{};
  header.msg_name = &sender;
  header.msg_namelen = sizeof sender;
  header.msg_iov = &io;
  header.msg_iovlen = 1;
  header.msg_control = control.data();
  header.msg_controllen = control.size();
  const ssize_t got = recvmsg(fd, &header, MSG_PEEK | MSG_TRUNC | MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  const int error = errno;
  if (got < 0 && error == EAGAIN) return std::optional<QueuedMessage>();
  if (got < 0) return ErrnoError(error, "look into the queue of a socket");
  TakeControl(header, message);
  if ((header.msg_flags & MSG_CTRUNC) != 0) {
    return MakeError(ErrorCode::kUnavailable, "too many descriptors are on their way in one message to look at them");
  }
  length = static_cast<size_t>(got);
  message.content.resize(std::min(length, room));
  message.sender = UnixNameOf(sender, header.msg_namelen);
  return std::optional<QueuedMessage>(std::move(message));
}

// Descriptors come with the bytes of the write that sent them; a read gives those of earlier writes, too. Of a write
// that does not fit into the memory it is read to, the kernel gives nothing: here the last of `bytes` does not.
Result<size_t> BytesBeforeLastWrite(int fd, PeekOffset& offset, size_t at, size_t bytes) {
  BATON_CHECKED(offset.Set(at));
  std::string room(bytes, '\0');
  std::array<iovec, 2> io{{{room.data(), bytes - 1}, {nullptr, 1}}};
  msghdr header{};
  header.msg_iov = io.data();
  header.msg_iovlen = io.size();
  const ssize_t got = recvmsg(fd, &header, MSG_PEEK | MSG_DONTWAIT);
  const int error = errno;
  if (got < 0 && error == EFAULT) return size_t{0};
  if (got < 0) return ErrnoError(error, "look for descriptors in the queue of a socket");
  return static_cast<size_t>(got);
}

Result<> AddPart(int fd, PeekOffset& offset, size_t at, QueuedMessage part, std::vector<QueuedMessage>& parts) {
  const size_t end = at + part.content.size();
  if (!part.files.empty()) {
    BATON_TRY(const size_t before, BytesBeforeLastWrite(fd, offset, at, part.content.size()));
    if (before > 0) {
      parts.push_back({part.content.substr(0, before), {}, part.credentials, part.sender});
      part.content.erase(0, before);
    }
    BATON_CHECKED(offset.Set(end));
  }
  parts.push_back(std::move(part));
  return {};
}

Result<std::vector<QueuedMessage>> PeekStream(int fd) {
  std::vector<QueuedMessage> parts;
  char urgent = 0;
  if (recv(fd, &urgent, 1, MSG_OOB | MSG_PEEK | MSG_DONTWAIT) > 0) {
    return MakeError(ErrorCode::kNotSupported, "urgent data (MSG_OOB) waits in this socket; let the program read it");
  }
  int bytes = 0;
  const int asked = ioctl(fd, SIOCINQ, &bytes);
  if (const int error = errno; asked != 0) return ErrnoError(error, "SIOCINQ of a socket");
  if (bytes <= 0) return parts;
  const auto total = static_cast<size_t>(bytes);
  BATON_TRY(PeekOffset offset, PeekOffset::Begin(fd));
  for (size_t at = 0; at < total;) {
    size_t length = 0;
    BATON_TRY(auto part, PeekNext(fd, total - at, length));
    if (!part || length == 0) {
      return MakeError(ErrorCode::kUnavailable, "only {} of {} bytes in a socket could be seen", at, total);
    }
    BATON_CHECKED(AddPart(fd, offset, at, std::move(*part), parts));
    at += length;
  }
  return parts;
}

// A first look tells the length, and moves nothing. The kernel passes over an empty message once it was seen; the end
// of a connection reads like one, again and again.
Result<std::vector<QueuedMessage>> PeekMessages(int fd) {
  constexpr size_t kEmptyIsTheEnd = 1024;
  std::vector<QueuedMessage> messages;
  size_t empty = 0;
  BATON_TRY(const PeekOffset offset, PeekOffset::Begin(fd));
  while (empty < kEmptyIsTheEnd) {
    size_t length = 0;
    BATON_TRY(auto message, PeekNext(fd, 0, length));
    if (!message) return messages;
    if (length > 0) {
      BATON_TRY(message, PeekNext(fd, length, length));
    }
    if (!message) return MakeError(ErrorCode::kUnavailable, "a datagram is gone while it was looked at");
    empty = length > 0 ? 0 : empty + 1;
    messages.push_back(std::move(*message));
  }
  messages.resize(messages.size() - empty);
  return messages;
}

}  // namespace

Result<std::vector<QueuedMessage>> PeekUnixQueue(int fd, int type) {
  return type == SOCK_STREAM ? PeekStream(fd) : PeekMessages(fd);
}

std::string UnixNameOf(const sockaddr_un& address, socklen_t length) {
  if (length <= offsetof(sockaddr_un, sun_path) || address.sun_family != AF_UNIX) return {};
  std::string name(address.sun_path, std::min<size_t>(length, sizeof address) - offsetof(sockaddr_un, sun_path));
  if (name.front() != '\0') name.resize(strnlen(name.data(), name.size()));
  return name;
}

}  // namespace baton
