// baton: the command line. Parses, runs the chosen subcommand, and turns what it returns into the exit code: the job's
// own for `run` and `restore`, 0 for other commands that went well, 125 for any error of Baton's, a wrong command line
// among them (2 could be the job's).
#include <fcntl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <exception>
#include <iostream>
#include <string>

#include "cli/command.h"
#include "cli/help.h"

namespace baton {
namespace {

constexpr int kBatonFailed = 125;

int Report(const Error& error) {
  std::cerr << "baton: " << error.ToString() << '\n';
  return kBatonFailed;
}

// Descriptors 0, 1 and 2 mean something to us and to every job: where one is closed, no other file may take its number.
void FillStandardStreams() {
  int fd = -1;
  do {
    fd = open("/dev/null", O_RDWR);  // not close-on-exec: it is what the job gets
  } while (fd >= 0 && fd < STDERR_FILENO);
  if (fd > STDERR_FILENO) close(fd);
}

// Before the initializers of shared libraries: gRPC's opens a descriptor, which would be 0 where that is closed.
[[gnu::section(".preinit_array"), gnu::used]] void (*const fill_first)() = FillStandardStreams;

int Main(int argc, char** argv) {
  CLI::App app{
      "Baton keeps programs running when the machine under them does not: it saves them while they run and goes on "
      "with them later, or elsewhere."};
  app.name("baton");
  app.require_subcommand(1);
  app.set_help_all_flag("--help-all", "Help for all commands");
  app.formatter(MakeHelpFormatter());
  app.set_version_flag("--version", "baton " BATON_VERSION);
  GlobalOptions globals;
  app.add_option("--state-dir", globals.state_dir,
                 "Where runs are kept (default: $BATON_STATE_DIR, else /var/lib/baton for root, "
                 "$XDG_STATE_HOME/baton or ~/.local/state/baton for others)")
      ->type_name("DIR");
  app.fallthrough();
  Action chosen;
  const CommandLineParser parser{.app = &app, .globals = &globals, .chosen = &chosen};
  AddRunCommand(parser);
  AddPsCommand(parser);
  AddShowCommand(parser);
  AddLogsCommand(parser);
  AddCheckpointCommand(parser);
  AddRestoreCommand(parser);
  AddImageCommand(parser);
  AddSubmitCommand(parser);
  AddWaitCommand(parser);
  AddCancelCommand(parser);
  AddFetchCommand(parser);
  AddMigrateCommand(parser);
  AddWorkersCommands(parser);
  AddPoolCommand(parser);
  AddPoolDaemonCommands(parser);
  AddVersionCommand(parser);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    // Help and version come as errors of code 0.
    if (error.get_exit_code() == 0) return app.exit(error, std::cout, std::cerr);
    std::cerr << UsageErrorText(app, error);
    return kBatonFailed;
  }
  const auto code = chosen();
  return code ? *code : Report(code.error());
}

}  // namespace
}  // namespace baton

int main(int argc, char** argv) {
  try {
    return baton::Main(argc, argv);
  } catch (const std::exception& error) {
    // Only out of memory and the like come here; Baton's own code reports errors as values.
    std::cerr << "baton: " << error.what() << '\n';
    return baton::kBatonFailed;
  }
}
