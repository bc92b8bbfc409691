// Makes the pseudo terminals of a unit again, together.
//
// Thread-safety: the tracer's thread.
#pragma once

#include <cstdint>
#include <map>

#include "base/result.h"
#include "resource/kind.h"
#include "resource/terminal/terminal.pb.h"

namespace baton {

struct TerminalMember {
  pb::TerminalPayload message;
  int fd = -1;  // in the holder: any open file, which is replaced
};
using TerminalMembers = std::map<uint32_t, TerminalMember>;  // by open file

// Sessions have their controlling terminals already (RestoreContext::shared(), see common/pty.h).
// REQUIRES: every message is valid by itself.
Result<> RestoreTerminals(TerminalMembers& members, RestoreContext& context);

}  // namespace baton
