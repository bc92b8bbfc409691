// Sizes for people.
//
// Thread-safety: free functions.
#pragma once

#include <cstdint>
#include <string>

namespace baton {

// "1.5 GiB", "640 B".
std::string FormatBytes(uint64_t bytes);

}  // namespace baton
