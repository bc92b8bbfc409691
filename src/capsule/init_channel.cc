#include "capsule/init_channel.h"

#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "base/file.h"

namespace baton {
namespace {

constexpr size_t kMaxPacket = size_t{64} << 10;

// Room for credentials and one descriptor, aligned as cmsghdr wants it.
struct ControlBuffer {
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(ucred)) + CMSG_SPACE(sizeof(int))> bytes{};
};

Result<UniqueFd> MemoryFileWith(const std::string& bytes) {
  const int raw = memfd_create("baton-message", MFD_CLOEXEC);
  if (const int error = errno; raw < 0) return ErrnoError(error, "memfd_create");
  UniqueFd file(raw);
  BATON_CHECKED(WriteAll(file.get(), bytes));
  return file;
}

void Append(msghdr* header, ControlBuffer* control, int type, const void* data, size_t size) {
  auto* slot = reinterpret_cast<cmsghdr*>(control->bytes.data() + header->msg_controllen);
  slot->cmsg_level = SOL_SOCKET;
  slot->cmsg_type = type;
  slot->cmsg_len = CMSG_LEN(size);
  memcpy(CMSG_DATA(slot), data, size);
  header->msg_controllen += CMSG_SPACE(size);
}

Result<> SendPacket(int socket, const std::string& bytes, std::optional<int> attached, std::optional<pid_t> about_pid) {
  iovec part{.iov_base = const_cast<char*>(bytes.data()), .iov_len = bytes.size()};
  ControlBuffer control;
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = control.bytes.data();
  if (attached) Append(&header, &control, SCM_RIGHTS, &*attached, sizeof(int));
  if (about_pid) {
    const ucred who{.pid = *about_pid, .uid = geteuid(), .gid = getegid()};
    Append(&header, &control, SCM_CREDENTIALS, &who, sizeof(who));
  }
  while (true) {
    const ssize_t sent = sendmsg(socket, &header, MSG_NOSIGNAL);
    const int error = errno;
    if (sent >= 0) return {};
    if (error != EINTR) return ErrnoError(error, "send to the other end of the capsule's channel");
  }
}

struct Attachments {
  std::optional<UniqueFd> file;
  pid_t pid = 0;
};

Attachments TakeAttachments(msghdr* header) {
  Attachments found;
  for (cmsghdr* slot = CMSG_FIRSTHDR(header); slot != nullptr; slot = CMSG_NXTHDR(header, slot)) {
    if (slot->cmsg_level != SOL_SOCKET) continue;
    if (slot->cmsg_type == SCM_RIGHTS) {
      int fd = -1;
      memcpy(&fd, CMSG_DATA(slot), sizeof(fd));
      found.file.emplace(fd);
    } else if (slot->cmsg_type == SCM_CREDENTIALS) {
      ucred who{};
      memcpy(&who, CMSG_DATA(slot), sizeof(who));
      found.pid = who.pid;
    }
  }
  return found;
}

Result<std::string> ContentOf(int memory_file) {
  const off_t start = lseek(memory_file, 0, SEEK_SET);
  if (const int error = errno; start < 0) return ErrnoError(error, "rewind a passed message");
  return ReadFd(memory_file);
}

}  // namespace

Result<std::pair<InitChannel, InitChannel>> InitChannel::Pair() {
  std::array<int, 2> ends{};
  const int made = socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data());
  if (const int error = errno; made != 0) return ErrnoError(error, "socketpair");
  std::pair<InitChannel, InitChannel> pair{InitChannel(UniqueFd(ends[0])), InitChannel(UniqueFd(ends[1]))};
  const int on = 1;
  const int set = setsockopt(ends[0], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on));
  if (const int error = errno; set != 0) return ErrnoError(error, "SO_PASSCRED");
  return pair;
}

Result<> InitChannel::Send(const google::protobuf::MessageLite& message, std::optional<pid_t> about_pid) {
  const std::string bytes = message.SerializeAsString();
  if (bytes.size() <= kMaxPacket && !bytes.empty()) return SendPacket(socket_.get(), bytes, std::nullopt, about_pid);
  BATON_TRY(const UniqueFd file, MemoryFileWith(bytes));
  // One byte, not none: an empty packet cannot be told from the end of the stream.
  return SendPacket(socket_.get(), std::string(1, '\0'), file.get(), about_pid);
}

Result<std::optional<InitChannel::Received>> InitChannel::Receive(bool nonblocking) {
  std::string bytes(kMaxPacket, '\0');
  iovec part{.iov_base = bytes.data(), .iov_len = bytes.size()};
  ControlBuffer control;
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = control.bytes.data();
  header.msg_controllen = control.bytes.size();
  ssize_t got = 0;
  int error = 0;
  do {
    got = recvmsg(socket_.get(), &header, MSG_CMSG_CLOEXEC | (nonblocking ? MSG_DONTWAIT : 0));
    error = errno;
  } while (got < 0 && error == EINTR);
  if (got < 0 && error == EAGAIN) return std::nullopt;
  if (got == 0 || (got < 0 && error == ECONNRESET)) {
    return MakeError(ErrorCode::kUnavailable, "the other end of the capsule's channel is gone");
  }
  if (got < 0) return ErrnoError(error, "receive from the capsule's channel");
  bytes.resize(static_cast<size_t>(got));
  Attachments attached = TakeAttachments(&header);
  if (attached.file) {
    BATON_TRY(bytes, ContentOf(attached.file->get()));
  }
  return Received{.bytes = std::move(bytes), .pid = attached.pid};
}

}  // namespace baton
