// /proc/PID/cmdline and environ: strings ended by NUL.
// Pure; thread-safe; cannot fail: any bytes are a list.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace baton {

// The strings in order, empty ones included. A last string without its NUL counts too (programs that write their own
// title over argv leave such).
std::vector<std::string> SplitNulList(std::string_view bytes);

}  // namespace baton
