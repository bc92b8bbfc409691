#include "resource/common/inet_diag.h"

#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cstring>
#include <functional>
#include <span>

#include "resource/common/inet_address.h"
#include "resource/common/netlink_socket.h"

namespace baton {
namespace {

struct Request {
  nlmsghdr header{};
  inet_diag_req_v2 body{};
};

// IPv4 addresses as they are, those in IPv6 clothes too: both find sockets of either domain.
bool PutAddress(std::string_view address, __be32* words, __be16& port) {
  port = htons(PortOf(address));
  if (IsInetAddress(address, AF_INET)) {
    sockaddr_in v4{};
    std::memcpy(&v4, address.data(), sizeof v4);
    words[0] = v4.sin_addr.s_addr;
    return false;
  }
  sockaddr_in6 v6{};
  std::memcpy(&v6, address.data(), sizeof v6);
  std::memcpy(words, &v6.sin6_addr, sizeof v6.sin6_addr);
  return true;
}

Request RequestFor(std::string_view local, std::string_view remote, uint16_t flags) {
  Request request;
  request.header = {.nlmsg_len = sizeof request,
                    .nlmsg_type = SOCK_DIAG_BY_FAMILY,
                    .nlmsg_flags = static_cast<uint16_t>(NLM_F_REQUEST | flags),
                    .nlmsg_seq = 0,
                    .nlmsg_pid = 0};
  request.body.sdiag_protocol = IPPROTO_TCP;
  request.body.idiag_states = ~0U;
  const bool v6 = PutAddress(local, request.body.id.idiag_src, request.body.id.idiag_sport);
  if (!remote.empty()) PutAddress(remote, request.body.id.idiag_dst, request.body.id.idiag_dport);
  request.body.sdiag_family = v6 ? AF_INET6 : AF_INET;
  request.body.id.idiag_cookie[0] = INET_DIAG_NOCOOKIE;
  request.body.id.idiag_cookie[1] = INET_DIAG_NOCOOKIE;
  return request;
}

Result<> Ask(pid_t host_pid, const Request& request, const std::function<void(const inet_diag_msg&)>& take) {
  BATON_TRY(const UniqueFd socket, OpenSockDiag(host_pid));
  return AskNetlink(socket.get(), std::as_bytes(std::span(&request, 1)), [&](const nlmsghdr& message) {
    if (message.nlmsg_type != SOCK_DIAG_BY_FAMILY || message.nlmsg_len < NLMSG_LENGTH(sizeof(inet_diag_msg))) {
      return Result<>();
    }
    inet_diag_msg body{};
    std::memcpy(&body, NLMSG_DATA(&message), sizeof body);
    take(body);
    return Result<>();
  });
}

}  // namespace

Result<std::optional<InetDiag>> FindTcpSocket(pid_t host_pid, std::string_view local, std::string_view remote) {
  std::optional<InetDiag> found;
  auto asked = Ask(host_pid, RequestFor(local, remote, 0),
                   [&](const inet_diag_msg& body) { found = InetDiag{body.idiag_inode, body.idiag_state}; });
  if (!asked && asked.error().code() != ErrorCode::kNotFound) return asked.Fail("look for the other end");
  return found;
}

Result<bool> IsHeldByEndedConnection(pid_t host_pid, std::string_view local) {
  bool ended = false;
  bool used = false;
  // Both domains share the ports.
  for (const uint8_t family : {uint8_t{AF_INET}, uint8_t{AF_INET6}}) {
    Request request = RequestFor(local, {}, NLM_F_DUMP);
    request.body.sdiag_family = family;
    BATON_CHECKED(Ask(host_pid, request, [&](const inet_diag_msg& body) {
      if (ntohs(body.id.idiag_sport) != PortOf(local)) return;
      (body.idiag_inode == 0 ? ended : used) = true;
    }));
  }
  return ended && !used;
}

}  // namespace baton
