#include "resource/common/netlink_socket.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <thread>
#include <vector>

#include "base/file.h"

namespace baton {
namespace {

constexpr size_t kAnswerBytes = 64 * 1024;

Result<UniqueFd> OpenHere() {
  const int raw = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
  if (const int error = errno; raw < 0) return ErrnoError(error, "netlink socket for sock_diag");
  return UniqueFd(raw);
}

bool IsOurs(pid_t host_pid) {
  struct stat ours{};
  struct stat theirs{};
  return stat("/proc/self/ns/net", &ours) == 0 &&
         stat(fmt::format("/proc/{}/ns/net", host_pid).c_str(), &theirs) == 0 && ours.st_ino == theirs.st_ino;
}

// Namespaces belong to a thread, so that ours stays where it is.
Result<UniqueFd> OpenThere(pid_t host_pid) {
  std::optional<Result<UniqueFd>> made;
  std::thread([&] {
    auto space = OpenFile(fmt::format("/proc/{}/ns/net", host_pid), O_RDONLY);
    if (!space) {
      made.emplace(std::move(space));
      return;
    }
    const int entered = setns(space->get(), CLONE_NEWNET);
    const int error = errno;
    if (entered == 0) {
      made.emplace(OpenHere());
      return;
    }
    made.emplace(MakeError(ErrorCode::kNotSupported,
                           "process {} has a network namespace of its own that we may not enter ({})", host_pid,
                           std::strerror(error)));
  }).join();
  return std::move(*made);
}

Result<bool> TakeMessage(const nlmsghdr& message, const std::function<Result<>(const nlmsghdr&)>& take) {
  if (message.nlmsg_type == NLMSG_DONE) return true;
  if (message.nlmsg_type == NLMSG_ERROR) {
    nlmsgerr error{};
    std::memcpy(&error, NLMSG_DATA(&message), sizeof error);
    if (error.error != 0) return ErrnoError(-error.error, "answer of netlink");
    return true;
  }
  BATON_CHECKED(take(message));
  return (message.nlmsg_flags & NLM_F_MULTI) == 0;
}

}  // namespace

Result<UniqueFd> OpenSockDiag(pid_t host_pid) { return IsOurs(host_pid) ? OpenHere() : OpenThere(host_pid); }

Result<> AskNetlink(int socket, std::span<const std::byte> request,
                    const std::function<Result<>(const nlmsghdr&)>& take) {
  const ssize_t sent = send(socket, request.data(), request.size(), 0);
  if (const int error = errno; sent < 0) return ErrnoError(error, "ask netlink");
  std::vector<std::byte> answer(kAnswerBytes);
  while (true) {
    const ssize_t got = recv(socket, answer.data(), answer.size(), 0);
    if (const int error = errno; got < 0) return ErrnoError(error, "answer of netlink");
    auto left = static_cast<unsigned>(got);
    for (auto* message = reinterpret_cast<nlmsghdr*>(answer.data()); NLMSG_OK(message, left);
         message = NLMSG_NEXT(message, left)) {
      BATON_TRY(const bool last, TakeMessage(*message, take));
      if (last) return {};
    }
  }
}

}  // namespace baton
