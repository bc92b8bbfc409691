// Names of the native engine's records in an image; the payloads are in native.proto.
#pragma once

#include <string_view>

namespace baton {

inline constexpr std::string_view kUnitRecord = "unit";
inline constexpr std::string_view kProcessRecord = "process";
inline constexpr unsigned kProcessVersion = 2;  // 1: without what is shared by numbers
inline constexpr std::string_view kOpenFileRecord = "open-file";
inline constexpr std::string_view kSysvRecord = "sysv";         // the payload is in sysv.proto
inline constexpr std::string_view kContentRecord = "content/";  // and the name a kind gave it; the payload is the bytes

}  // namespace baton
