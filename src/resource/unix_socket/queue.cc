#include "resource/unix_socket/queue.h"

#include <linux/sockios.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace baton {
namespace {

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

Result<> AddPart(int fd, PeekOffset& offset, size_t at, PeekedMessage part, std::vector<PeekedMessage>& parts) {
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

Result<std::vector<PeekedMessage>> PeekStream(int fd) {
  std::vector<PeekedMessage> parts;
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

}  // namespace

Result<std::vector<PeekedMessage>> PeekUnixQueue(int fd, int type) {
  return type == SOCK_STREAM ? PeekStream(fd) : PeekMessages(fd, 0);
}

std::string UnixNameOf(std::string_view bytes) {
  sockaddr_un address{};
  std::memcpy(&address, bytes.data(), std::min(bytes.size(), sizeof address));
  return UnixNameOf(address, static_cast<socklen_t>(bytes.size()));
}

std::string UnixNameOf(const sockaddr_un& address, socklen_t length) {
  if (length <= offsetof(sockaddr_un, sun_path) || address.sun_family != AF_UNIX) return {};
  std::string name(address.sun_path, std::min<size_t>(length, sizeof address) - offsetof(sockaddr_un, sun_path));
  if (name.front() != '\0') name.resize(strnlen(name.data(), name.size()));
  return name;
}

}  // namespace baton
