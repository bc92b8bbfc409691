// System calls about sockets, made in a process of the unit or in the holder: each resets the arguments of `calls`.
//
// Thread-safety: the tracer's thread. Errors: as of RemoteSyscalls::Do.
#pragma once

#include <sys/types.h>

#include <array>
#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <utility>

#include "base/result.h"
#include "resource/kind.h"
#include "task/remote_syscalls.h"

namespace baton {

class RemoteSockets {
 public:
  explicit RemoteSockets(RemoteSyscalls& calls) : calls_(calls) {}

  RemoteSyscalls& calls() { return calls_; }
  // Descriptors are close-on-exec and do not block.
  Result<int> Make(int domain, int type, int protocol);
  Result<std::array<int, 2>> MakePair(int domain, int type);
  Result<> Bind(int fd, std::span<const std::byte> address);
  Result<> Connect(int fd, std::span<const std::byte> address);
  Result<> Listen(int fd, int backlog);
  Result<int> Accept(int fd);
  // Puts what is open as `from` at the number `to`, and closes `from`.
  Result<> Move(int from, int to);
  Result<> Close(int fd);
  // A copy of descriptor `fd` of the process that the unit calls `ns_pid`.
  Result<int> Fetch(pid_t ns_pid, int fd);

 private:
  RemoteSyscalls& calls_;
};

// Makes `call` on the holder's descriptor `fd` in the process of the unit that is called `ns_pid`, so that the kernel
// notes that one as the caller; in the holder if there is no such process.
Result<> CallAs(pid_t ns_pid, int fd, RestoreContext& context,
                const std::function<Result<>(RemoteSockets& sockets, int fd)>& call);
// A pair of sockets made by that process, in the holder.
Result<std::array<int, 2>> MakePairAs(pid_t ns_pid, int domain, int type, RestoreContext& context);

}  // namespace baton
