// A subcommand: one file each, which adds itself to the command line and says what to do when it is chosen. Commands
// return an exit code or an error; only main.cc turns an error into one.
//
// Thread-safety: none.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <string>

#include "base/result.h"

namespace baton {

// What a chosen subcommand does; the value is the program's exit code.
using Action = std::function<Result<int>()>;

// Options that every command shares.
struct GlobalOptions {
  std::string state_dir;  // empty: by the environment
};

// Where a subcommand puts its action when the command line chose it.
struct CommandLineParser {
  CLI::App* app;
  const GlobalOptions* globals;
  Action* chosen;
};

void AddRunCommand(const CommandLineParser& parser);
void AddPsCommand(const CommandLineParser& parser);
void AddShowCommand(const CommandLineParser& parser);
void AddLogsCommand(const CommandLineParser& parser);
void AddCheckpointCommand(const CommandLineParser& parser);
void AddRestoreCommand(const CommandLineParser& parser);
void AddImageCommand(const CommandLineParser& parser);
void AddPoolDaemonCommands(const CommandLineParser& parser);
void AddSubmitCommand(const CommandLineParser& parser);
void AddWaitCommand(const CommandLineParser& parser);
void AddCancelCommand(const CommandLineParser& parser);
void AddFetchCommand(const CommandLineParser& parser);
void AddMigrateCommand(const CommandLineParser& parser);
void AddPoolCommand(const CommandLineParser& parser);
void AddWorkersCommands(const CommandLineParser& parser);
void AddVersionCommand(const CommandLineParser& parser);

}  // namespace baton
