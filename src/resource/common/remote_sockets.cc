#include "resource/common/remote_sockets.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "resource/common/remote_pidfd.h"

namespace baton {

Result<int> RemoteSockets::Make(int domain, int type, int protocol) {
  BATON_TRY(const int64_t fd, calls_.Do("socket", SYS_socket, domain, type | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol));
  return static_cast<int>(fd);
}

Result<std::array<int, 2>> RemoteSockets::MakePair(int domain, int type) {
  calls_.ResetArguments();
  BATON_TRY(const auto at, calls_.PutValue(std::array<int, 2>{}));
  BATON_CHECKED(calls_.Do("socketpair", SYS_socketpair, domain, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, at));
  return calls_.Get(at);
}

Result<> RemoteSockets::Bind(int fd, std::span<const std::byte> address) {
  calls_.ResetArguments();
  BATON_TRY(const auto at, calls_.Put(address));
  BATON_CHECKED(calls_.Do("bind", SYS_bind, fd, at, address.size()));
  return {};
}

Result<> RemoteSockets::Connect(int fd, std::span<const std::byte> address) {
  calls_.ResetArguments();
  BATON_TRY(const auto at, calls_.Put(address));
  BATON_CHECKED(calls_.Do("connect", SYS_connect, fd, at, address.size()));
  return {};
}

Result<> RemoteSockets::Listen(int fd, int backlog) {
  BATON_CHECKED(calls_.Do("listen", SYS_listen, fd, backlog));
  return {};
}

Result<int> RemoteSockets::Accept(int fd) {
  BATON_TRY(const int64_t made, calls_.Do("accept", SYS_accept4, fd, 0, 0, SOCK_CLOEXEC | SOCK_NONBLOCK));
  return static_cast<int>(made);
}

Result<> RemoteSockets::Move(int from, int to) {
  BATON_CHECKED(calls_.Do("dup3", SYS_dup3, from, to, O_CLOEXEC));
  return Close(from);
}

Result<> RemoteSockets::Close(int fd) {
  BATON_CHECKED(calls_.Do("close", SYS_close, fd));
  return {};
}

Result<int> RemoteSockets::Fetch(pid_t ns_pid, int fd) {
  BATON_TRY(const int64_t pid_fd, OpenRemotePidfd(calls_, ns_pid));
  BATON_TRY(const int64_t copy, calls_.Do("pidfd_getfd", SYS_pidfd_getfd, pid_fd, fd, 0));
  BATON_CHECKED(calls_.Do("close", SYS_close, pid_fd));
  return static_cast<int>(copy);
}

Result<> CallAs(pid_t ns_pid, int fd, RestoreContext& context,
                const std::function<Result<>(RemoteSockets& sockets, int fd)>& call) {
  RemoteSockets holder(context.holder());
  auto process = context.Process(ns_pid);
  if (!process) return call(holder, fd);
  RemoteSockets sockets(**process);
  BATON_TRY(const int64_t holder_pid, context.holder().Do("getpid", SYS_getpid));
  BATON_TRY(const int copy, sockets.Fetch(static_cast<pid_t>(holder_pid), fd));
  BATON_CHECKED(call(sockets, copy));
  return sockets.Close(copy);
}

Result<std::array<int, 2>> MakePairAs(pid_t ns_pid, int domain, int type, RestoreContext& context) {
  RemoteSockets holder(context.holder());
  auto process = context.Process(ns_pid);
  if (!process) return holder.MakePair(domain, type);
  RemoteSockets sockets(**process);
  BATON_TRY(const auto there, sockets.MakePair(domain, type));
  std::array<int, 2> here{};
  for (size_t i = 0; i < here.size(); ++i) {
    BATON_TRY(here.at(i), holder.Fetch(ns_pid, there.at(i)));
    BATON_CHECKED(sockets.Close(there.at(i)));
  }
  return here;
}

}  // namespace baton
