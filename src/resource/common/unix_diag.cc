#include "resource/common/unix_diag.h"

#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <sys/socket.h>

#include <cstring>
#include <span>

#include "resource/common/netlink_socket.h"

namespace baton {
namespace {

struct Request {
  nlmsghdr header{};
  unix_diag_req body{};
};

template <typename T>
T Load(const rtattr& attribute) {
  T value{};
  std::memcpy(&value, RTA_DATA(&attribute), std::min<size_t>(sizeof value, RTA_PAYLOAD(&attribute)));
  return value;
}

void TakeAttribute(const rtattr& attribute, UnixDiag& socket) {
  const auto* bytes = static_cast<const char*>(RTA_DATA(&attribute));
  const size_t length = RTA_PAYLOAD(&attribute);
  switch (attribute.rta_type) {
    case UNIX_DIAG_NAME:
      socket.name.assign(bytes, length);
      break;
    case UNIX_DIAG_VFS: {
      const auto file = Load<unix_diag_vfs>(attribute);
      socket.file_inode = file.udiag_vfs_ino;
      socket.file_device = file.udiag_vfs_dev;
      break;
    }
    case UNIX_DIAG_PEER:
      socket.peer = Load<uint32_t>(attribute);
      break;
    case UNIX_DIAG_ICONS:
      socket.waiting.resize(length / sizeof(uint32_t));
      std::memcpy(socket.waiting.data(), bytes, socket.waiting.size() * sizeof(uint32_t));
      break;
    case UNIX_DIAG_RQLEN:
      socket.backlog = Load<unix_diag_rqlen>(attribute).udiag_wqueue;
      break;
    case UNIX_DIAG_SHUTDOWN:
      socket.shutdown = Load<uint8_t>(attribute);
      break;
    default:
      break;
  }
}

UnixDiag Parse(const nlmsghdr& message) {
  UnixDiag socket;
  unix_diag_msg body{};
  std::memcpy(&body, NLMSG_DATA(&message), sizeof body);
  socket.inode = body.udiag_ino;
  socket.type = body.udiag_type;
  socket.state = body.udiag_state;
  auto left = static_cast<unsigned>(NLMSG_PAYLOAD(&message, sizeof body));
  const auto* first = reinterpret_cast<const char*>(NLMSG_DATA(&message)) + NLMSG_ALIGN(sizeof body);
  for (const auto* at = reinterpret_cast<const rtattr*>(first); RTA_OK(at, left); at = RTA_NEXT(at, left)) {
    TakeAttribute(*at, socket);
  }
  return socket;
}

}  // namespace

Result<UnixDiagQuery> UnixDiagQuery::Open(pid_t host_pid) {
  BATON_TRY(UniqueFd socket, OpenSockDiag(host_pid));
  return UnixDiagQuery(std::move(socket));
}

Result<std::vector<UnixDiag>> UnixDiagQuery::Ask(uint32_t inode, uint16_t flags) {
  Request request;
  request.header = {.nlmsg_len = sizeof request,
                    .nlmsg_type = SOCK_DIAG_BY_FAMILY,
                    .nlmsg_flags = static_cast<uint16_t>(NLM_F_REQUEST | flags),
                    .nlmsg_seq = 0,
                    .nlmsg_pid = 0};
  request.body.sdiag_family = AF_UNIX;
  request.body.udiag_states = ~0U;
  request.body.udiag_ino = inode;
  request.body.udiag_show = UDIAG_SHOW_NAME | UDIAG_SHOW_VFS | UDIAG_SHOW_PEER | UDIAG_SHOW_ICONS | UDIAG_SHOW_RQLEN;
  request.body.udiag_cookie[0] = ~0U;  // INET_DIAG_NOCOOKIE
  request.body.udiag_cookie[1] = ~0U;
  std::vector<UnixDiag> sockets;
  BATON_CHECKED(AskNetlink(socket_.get(), std::as_bytes(std::span(&request, 1)), [&](const nlmsghdr& message) {
    if (message.nlmsg_type == SOCK_DIAG_BY_FAMILY && message.nlmsg_len >= NLMSG_LENGTH(sizeof(unix_diag_msg))) {
      sockets.push_back(Parse(message));
    }
    return Result<>();
  }));
  return sockets;
}

Result<UnixDiag> UnixDiagQuery::Find(uint32_t inode) {
  auto found = Ask(inode, 0);
  if (!found) return found.Fail("UNIX socket with inode {}", inode);
  if (found->empty()) return MakeError(ErrorCode::kNotFound, "no UNIX socket has inode {}", inode);
  return std::move(found->front());
}

Result<std::vector<UnixDiag>> UnixDiagQuery::All() { return Ask(0, NLM_F_DUMP); }

}  // namespace baton
