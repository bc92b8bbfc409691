#include "resource/tcp_socket/flight.h"

#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <limits>

namespace baton {
namespace {

constexpr int kSoBufLock = 72;  // younger than the C library's headers
constexpr auto kPatience = std::chrono::milliseconds(1000);

int Get(int fd, int level, int name) {
  int value = 0;
  socklen_t length = sizeof value;
  return getsockopt(fd, level, name, &value, &length) == 0 ? value : 0;
}

void Set(int fd, int level, int name, int value) { setsockopt(fd, level, name, &value, sizeof value); }

size_t Ask(int fd, unsigned long request) {
  int bytes = 0;
  return ioctl(fd, request, &bytes) == 0 ? static_cast<size_t>(std::max(bytes, 0)) : 0;
}

void Look(int fd) {
  char byte = 0;
  Set(fd, IPPROTO_TCP, TCP_QUICKACK, 1);
  [[maybe_unused]] const ssize_t seen = recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
}

// What this changes of a socket, put back.
class Restored {
 public:
  Restored(int fd, int name, int none) : fd_(fd), name_(name), before_(Get(fd, SOL_SOCKET, name)), none_(none) {}
  Restored(const Restored&) = delete;
  Restored& operator=(const Restored&) = delete;
  ~Restored() {
    if (before_ != none_) Set(fd_, SOL_SOCKET, name_, before_);
  }

 private:
  int fd_;
  int name_;
  int before_;
  int none_;
};

// The buffer of a program that has set its size is put back to it; those bytes above it stay where they are.
class OpenWindow {
 public:
  OpenWindow(int fd, size_t bytes)
      : fd_(fd),
        low_water_(Get(fd, SOL_SOCKET, SO_RCVLOWAT)),
        lock_(Get(fd, SOL_SOCKET, kSoBufLock)),
        buffer_(Get(fd, SOL_SOCKET, SO_RCVBUF)) {
    if (lock_ != 0) Set(fd_, SOL_SOCKET, kSoBufLock, 0);
    MakeRoomFor(fd_, bytes);
  }
  OpenWindow(const OpenWindow&) = delete;
  OpenWindow& operator=(const OpenWindow&) = delete;
  ~OpenWindow() {
    constexpr int kReceiveLock = 2;
    Set(fd_, SOL_SOCKET, SO_RCVLOWAT, low_water_);
    if ((lock_ & kReceiveLock) != 0) Set(fd_, SOL_SOCKET, SO_RCVBUF, buffer_ / 2);
    if (lock_ != 0) Set(fd_, SOL_SOCKET, kSoBufLock, lock_);
  }

 private:
  int fd_;
  int low_water_;
  int lock_;
  int buffer_;
};

Result<> Deliver(int receiver, int sender) {
  Set(receiver, IPPROTO_TCP, TCP_QUICKACK, 1);
  const size_t under_way = Ask(sender, SIOCOUTQ);
  if (under_way == 0) return {};
  const OpenWindow window(receiver, under_way + Ask(receiver, SIOCINQ));
  const size_t left = AwaitDelivery(receiver, sender);
  if (left == 0) return {};
  return MakeError(ErrorCode::kUnavailable,
                   "{} bytes wait for this socket at the other end and do not fit in: raise the last value of "
                   "net.ipv4.tcp_rmem, or try again when the program has read more",
                   left);
}

}  // namespace

void MakeRoomFor(int receiver, size_t bytes) {
  const int room = static_cast<int>(std::min<size_t>(bytes, std::numeric_limits<int>::max() / 2));
  Set(receiver, SOL_SOCKET, SO_RCVLOWAT, room);
}

size_t AwaitDelivery(int receiver, int sender) {
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (true) {
    Look(receiver);
    const size_t left = Ask(sender, SIOCOUTQ);
    if (left == 0 || std::chrono::steady_clock::now() > deadline) return left;
    poll(nullptr, 0, 1);
  }
}

Result<std::string> PeekTcpBytes(int receiver, int sender) {
  char urgent = 0;
  if (recv(receiver, &urgent, 1, MSG_OOB | MSG_PEEK | MSG_DONTWAIT) > 0) {
    return MakeError(ErrorCode::kNotSupported, "urgent data (MSG_OOB) waits in this socket; let the program read it");
  }
  if (sender >= 0) BATON_CHECKED(Deliver(receiver, sender));
  std::string bytes(Ask(receiver, SIOCINQ), '\0');
  if (bytes.empty()) return bytes;
  const Restored offset(receiver, SO_PEEK_OFF, -1);
  Set(receiver, SOL_SOCKET, SO_PEEK_OFF, -1);
  const ssize_t got = recv(receiver, bytes.data(), bytes.size(), MSG_PEEK | MSG_DONTWAIT);
  if (const int error = errno; got < 0) return ErrnoError(error, "look into the queue of a socket");
  if (static_cast<size_t>(got) == bytes.size()) return bytes;
  return MakeError(ErrorCode::kUnavailable, "only {} of {} bytes in a socket could be seen", got, bytes.size());
}

}  // namespace baton
