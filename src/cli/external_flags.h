// --external and --shell-job, the same for checkpoint and restore; --tcp, the same for run and checkpoint.
//
// Thread-safety: free functions.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "base/result.h"
#include "keeper/external_fds.h"

namespace baton {

void AddExternalFlags(CLI::App* command, std::vector<std::string>* externals, bool* shell_job);
void AddTcpOption(CLI::App* command, std::string* tcp);
// kInvalidArgument for the first text that is no rule.
Result<std::vector<ExternalRule>> ParseExternalRules(const std::vector<std::string>& texts);

}  // namespace baton
