// The program's log: BATON_LOG(kInfo, "seized {} tasks", n). Goes to stderr; levels by file without a rebuild:
// BATON_LOG=all:warn,task:debug (a name is the part of the source's path after src/, or the beginning of it).
// Thread-safe. This is the one global of the program.
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>
#include <utility>

namespace baton {

enum class LogLevel { kDebug, kInfo, kWarn, kError, kOff };

// Whether a line of `level` from source file `file` (its __FILE__) would be written.
bool LogEnabled(LogLevel level, std::string_view file);
void LogLine(LogLevel level, std::string_view file, int line, const std::string& text);
// Replaces the levels; `spec` as in BATON_LOG. Unknown parts are ignored.
void SetLogLevels(std::string_view spec);

}  // namespace baton

#define BATON_LOG(level, ...)                                                                   \
  do {                                                                                          \
    if (::baton::LogEnabled(::baton::LogLevel::level, __FILE__))                                \
      ::baton::LogLine(::baton::LogLevel::level, __FILE__, __LINE__, fmt::format(__VA_ARGS__)); \
  } while (0)
