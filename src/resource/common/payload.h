// Reading what kinds have written, and numbers in /proc/PID/fdinfo that only a kind understands.
//
// Pure; thread-safe. Errors: kCorrupt, naming what is wrong.
#pragma once

#include <charconv>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

#include "base/result.h"
#include "proc/fdinfo.h"

namespace baton {

// A payload of the kind's own message. `kind` is for the error.
template <typename Message>
Result<Message> ParsePayload(std::string_view payload, std::string_view kind) {
  Message message;
  const bool fits = payload.size() <= static_cast<size_t>(std::numeric_limits<int>::max());
  if (!fits || !message.ParseFromArray(payload.data(), static_cast<int>(payload.size()))) {
    return MakeError(ErrorCode::kCorrupt, "payload of kind {} does not parse", kind);
  }
  return message;
}

// The whole of `text` as a number of `base`.
template <typename T = uint64_t>
Result<T> ParseFdInfoNumber(std::string_view key, std::string_view text, int base = 10) {
  T value{};
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value, base);
  if (error != std::errc() || stop != end) {
    return MakeError(ErrorCode::kCorrupt, "fdinfo: \"{}: {}\" is not a number", key, text);
  }
  return value;
}

// The number of the line `key`, which must be there.
template <typename T = uint64_t>
Result<T> FdInfoNumber(const FdInfo& info, std::string_view key, int base = 10) {
  const std::string* text = info.Find(key);
  if (text == nullptr) return MakeError(ErrorCode::kCorrupt, "fdinfo has no line \"{}\"", key);
  return ParseFdInfoNumber<T>(key, *text, base);
}

}  // namespace baton
