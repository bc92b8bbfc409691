// /proc/swaps: whether this machine swaps at all.
// Pure; thread-safe. Errors: kCorrupt, quoting the line.
#pragma once

#include <string_view>

#include "base/result.h"

namespace baton {

// True if at least one swap area is in use.
Result<bool> ParseSwapsAny(std::string_view text);

}  // namespace baton
