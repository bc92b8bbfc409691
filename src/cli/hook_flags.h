// --hook-before, --hook-after, --hook-resume, --hook-signal and --hook-timeout, the same for every command that has
// them.
//
// Thread-safety: free functions.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>

#include "base/result.h"
#include "keeper/run_request.h"

namespace baton {

struct HookFlags {
  std::optional<std::string> before;
  std::optional<std::string> after;
  std::optional<std::string> resume;
  std::optional<std::string> signal;
  std::optional<std::string> timeout;
};

// Which of them a command has.
struct HookOptions {
  bool checkpoint = true;  // before and after
  bool resume = true;
  bool signal = true;
};

void AddHookOptions(CLI::App* command, HookFlags* flags, const HookOptions& options);
// What was given. kInvalidArgument for a signal or a time that is none.
Result<HookChanges> ParseHooks(const HookFlags& flags);

}  // namespace baton
