// --map-path and --env, the same for restore and run --resume.
//
// Thread-safety: free functions.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "base/result.h"

namespace baton {

struct MoveFlags {
  std::vector<std::string> path_maps;
  std::vector<std::string> environment;
};

void AddMoveOptions(CLI::App* command, MoveFlags* flags);
// kInvalidArgument for the first that is not NAME=VALUE.
Result<> CheckEnvironment(const std::vector<std::string>& environment);

}  // namespace baton
