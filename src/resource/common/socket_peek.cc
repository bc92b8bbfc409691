#include "resource/common/socket_peek.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace baton {
namespace {

constexpr size_t kControlBytes = 4096;  // 253 descriptors, credentials, time stamps
constexpr int kScmPidfd = 4;            // younger than the C library's headers

void TakeFiles(const cmsghdr& control, std::vector<UniqueFd>& files) {
  const size_t count = (control.cmsg_len - CMSG_LEN(0)) / sizeof(int);
  for (size_t i = 0; i < count; ++i) {
    int fd = -1;
    std::memcpy(&fd, CMSG_DATA(&control) + i * sizeof fd, sizeof fd);
    if (fd >= 0) files.emplace_back(fd);
  }
}

void TakeControl(msghdr& header, PeekedMessage& message) {
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

}  // namespace

Result<PeekOffset> PeekOffset::Begin(int fd) {
  int before = -1;
  socklen_t length = sizeof before;
  const int got = getsockopt(fd, SOL_SOCKET, SO_PEEK_OFF, &before, &length);
  if (const int error = errno; got != 0) return ErrnoError(error, "SO_PEEK_OFF");
  PeekOffset offset(fd, before);
  BATON_CHECKED(offset.Set(0));
  return offset;
}

PeekOffset::~PeekOffset() {
  if (fd_ >= 0) setsockopt(fd_, SOL_SOCKET, SO_PEEK_OFF, &before_, sizeof before_);
}

// NOLINTNEXTLINE(readability-make-member-function-const): changes the socket
Result<> PeekOffset::Set(size_t to) {
  const int value = static_cast<int>(to);
  const int set = setsockopt(fd_, SOL_SOCKET, SO_PEEK_OFF, &value, sizeof value);
  if (const int error = errno; set != 0) return ErrnoError(error, "SO_PEEK_OFF");
  return {};
}

Result<std::optional<PeekedMessage>> PeekNext(int fd, size_t room, size_t& length) {
  PeekedMessage message;
  message.content.resize(room);
  sockaddr_storage sender{};
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
  if (got < 0 && error == EAGAIN) return std::optional<PeekedMessage>();
  if (got < 0) return ErrnoError(error, "look into the queue of a socket");
  TakeControl(header, message);
  if ((header.msg_flags & MSG_CTRUNC) != 0) {
    return MakeError(ErrorCode::kUnavailable, "too many descriptors are on their way in one message to look at them");
  }
  length = static_cast<size_t>(got);
  message.content.resize(std::min(length, room));
  message.sender.assign(reinterpret_cast<const char*>(&sender), std::min<size_t>(header.msg_namelen, sizeof sender));
  return std::optional<PeekedMessage>(std::move(message));
}

// A first look tells the length, and moves nothing, where the longest is not known. The kernel passes over an empty
// message once it was seen; the end of a connection reads like one, again and again.
Result<std::vector<PeekedMessage>> PeekMessages(int fd, size_t max_bytes) {
  constexpr size_t kEmptyIsTheEnd = 1024;
  std::vector<PeekedMessage> messages;
  size_t empty = 0;
  BATON_TRY(const PeekOffset offset, PeekOffset::Begin(fd));
  while (empty < kEmptyIsTheEnd) {
    size_t length = 0;
    BATON_TRY(auto message, PeekNext(fd, max_bytes, length));
    if (!message) return messages;
    if (length > 0 && max_bytes == 0) {
      BATON_TRY(message, PeekNext(fd, length, length));
    }
    if (!message) return MakeError(ErrorCode::kUnavailable, "a datagram is gone while it was looked at");
    empty = length > 0 ? 0 : empty + 1;
    messages.push_back(std::move(*message));
  }
  messages.resize(messages.size() - empty);
  return messages;
}

}  // namespace baton
