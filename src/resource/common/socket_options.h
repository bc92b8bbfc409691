// Options of sockets (setsockopt(2)), table-driven: what they are is read as the kernel gives it, and set again where a
// new socket differs. Every kind of socket has those of SOL_SOCKET; kinds bring tables of their own.
//
// Sources: socket(7), net/core/sock.c. Thread-safe: free functions without state.
#pragma once

#include <span>

#include "base/result.h"
#include "resource/common/socket_options.pb.h"

namespace baton {

// When an option is set on a new socket: before it is bound, those that cannot be set after; first those that bind,
// listen and connect look at; last those that would change what happens while queues are filled.
enum class OptionTime { kBeforeBind, kFirst, kLast };

struct OptionRule {
  int level = 0;
  int name = 0;
  unsigned max_bytes = 4;  // of the value; a shorter one is kept as it is
  OptionTime when = OptionTime::kFirst;
};

// Those of SOL_SOCKET.
std::span<const OptionRule> SocketLevelOptions();

// Reads SOL_SOCKET's options and those of `more`; what the socket does not know is left out. kNotSupported for a filter
// that cannot be read (eBPF).
Result<pb::SocketOptions> CaptureSocketOptions(int fd, std::span<const OptionRule> more);
// kCorrupt if there is an option in it that no rule knows.
Result<> CheckSocketOptions(const pb::SocketOptions& options, std::span<const OptionRule> more);
// Sets those options of `when` that differ on `fd`, a descriptor of ours; sizes of buffers are another matter.
// REQUIRES: CheckSocketOptions.
Result<> RestoreSocketOptions(const pb::SocketOptions& options, std::span<const OptionRule> more, OptionTime when,
                              int fd);

// Sizes of buffers that the program has set: after the queues are filled, since they may be small.
Result<> RestoreSocketBuffers(const pb::SocketOptions& options, int fd);

}  // namespace baton
