// A UNIX socket that is being made again: its record and where it is.
#pragma once

#include <cstdint>
#include <map>

#include "resource/unix_socket/unix_socket.pb.h"

namespace baton {

struct UnixMember {
  pb::UnixSocketPayload message;
  int fd = -1;         // in the holder
  int temporary = -1;  // in the holder: stands for an end that was closed
  bool filled = false;
  bool paired = false;  // made together with its peer, or with `temporary`
};
using UnixMembers = std::map<uint32_t, UnixMember>;  // by open file

}  // namespace baton
