// Parser of /etc/subuid and /etc/subgid: ids that the system lends to a user. Source: subuid(5).
//
// Pure; thread-safe.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace baton {

struct IdRange {
  uint32_t first = 0;
  uint32_t count = 0;
  bool Contains(uint32_t id) const { return id >= first && id - first < count; }
};

// The ranges of the user with this name or number; lines of others are passed over. kCorrupt, quoting the line, for one
// of this user that cannot be: "NAME:FIRST:COUNT".
Result<std::vector<IdRange>> ParseSubordinateIds(std::string_view text, std::string_view name, uid_t uid);

}  // namespace baton
