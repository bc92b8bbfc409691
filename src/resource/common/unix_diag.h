// What the kernel tells of UNIX sockets that no system call on them does: who is connected to whom, who waits to be
// accepted, how far the two directions are shut down. Open to ordinary users.
//
// Sources: sock_diag(7), <linux/unix_diag.h>, net/unix/diag.c. Thread-safety: as for a plain value.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"

namespace baton {

struct UnixDiag {
  uint32_t inode = 0;
  uint8_t type = 0;      // SOCK_*
  uint8_t state = 0;     // TCP_LISTEN, TCP_ESTABLISHED, ...
  uint8_t shutdown = 0;  // 1: no more to read, 2: no more to write
  std::string name;      // as in sun_path: a path, or '\0' and an abstract name; empty without
  // The file that the name was bound to.
  uint32_t file_inode = 0;
  uint32_t file_device = 0;  // as the kernel has it: 12 bits of major number, 20 of minor
  // The socket it is connected to: absent if it never was, 0 if that one has no open file (closed, or not accepted).
  std::optional<uint32_t> peer;
  // A listening socket's: the inodes of those that wait to be accepted, oldest first; 0 for one that was closed.
  std::vector<uint32_t> waiting;
  uint32_t backlog = 0;  // of a listening socket
};

// A connection to the kernel about the sockets of one network namespace.
class UnixDiagQuery {
 public:
  // About the network namespace of process `host_pid`. kNotSupported if that is another one than ours and we may not
  // enter it.
  static Result<UnixDiagQuery> Open(pid_t host_pid);
  // kNotFound if there is no socket with this inode number.
  Result<UnixDiag> Find(uint32_t inode);
  // All sockets with an open file.
  Result<std::vector<UnixDiag>> All();

 private:
  explicit UnixDiagQuery(UniqueFd socket) : socket_(std::move(socket)) {}
  Result<std::vector<UnixDiag>> Ask(uint32_t inode, uint16_t flags);

  UniqueFd socket_;
};

}  // namespace baton
