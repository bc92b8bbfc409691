// What a capsule is made from: plain values, filled by the keeper.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace baton {

// One directory, or file, shown at another path inside the capsule, over what is there.
struct CapsuleBind {
  std::string from;  // on the host; must exist
  std::string to;    // absolute path inside; made if it does not exist and can be made (directories only)
};

struct CapsuleOptions {
  // A user namespace of its own, the caller's uid and gid mapped to themselves, and those that /etc/subuid and
  // /etc/subgid lend him, where newuidmap(1) is installed. Needed unless root.
  bool user_namespace = true;
  // Added to CLOCK_MONOTONIC and CLOCK_BOOTTIME as the caller reads them, in nanoseconds; may be negative.
  int64_t monotonic_offset_ns = 0;
  int64_t boottime_offset_ns = 0;
  // A directory of the host that is /tmp inside.
  std::optional<std::string> private_tmp = std::nullopt;
  // Put in place in this order, after private_tmp; a path below /tmp is made inside private_tmp.
  std::vector<CapsuleBind> binds = {};
  // Descriptors 0, 1, 2 of init and of what it starts; borrowed for the call.
  int stdin_fd = 0;
  int stdout_fd = 1;
  int stderr_fd = 2;
};

}  // namespace baton
