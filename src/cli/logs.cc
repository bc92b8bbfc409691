// baton logs NAME: what the job has written to its stdout and stderr.
#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <memory>

#include "base/file.h"
#include "cli/command.h"
#include "keeper/run_record.h"

namespace baton {
namespace {

Result<> CopyToStdout(int file) {
  std::array<char, size_t{64} << 10> buffer{};
  while (true) {
    const ssize_t got = read(file, buffer.data(), buffer.size());
    const int error = errno;
    if (got < 0 && error == EINTR) continue;
    if (got < 0) return ErrnoError(error, "read the log");
    if (got == 0) return {};
    BATON_CHECKED(WriteAll(STDOUT_FILENO, std::string_view(buffer.data(), static_cast<size_t>(got))));
  }
}

Result<int> Logs(const GlobalOptions& globals, const std::string& name) {
  BATON_CHECKED(CheckRunName(name));
  BATON_TRY(const StatePaths paths, StatePaths::Find(globals.state_dir));
  BATON_TRY(const pb::RunRecord record, LoadRunRecord(paths, name));
  BATON_TRY(const UniqueFd file, OpenFile(record.output_path(), O_RDONLY));
  BATON_CHECKED(CopyToStdout(file.get()));
  return 0;
}

}  // namespace

void AddLogsCommand(const CommandLineParser& parser) {
  auto name = std::make_shared<std::string>();
  CLI::App* command = parser.app->add_subcommand("logs", "Print what a run's job has written so far");
  command->add_option("name", *name, "The run")->required()->type_name("NAME");
  command->footer(
      "\nThe log is part of the job's state: after a resume it is cut back to the checkpoint, so that in the end it "
      "is\n"
      "what an undisturbed run would have written.");
  command->callback([name, globals = parser.globals, chosen = parser.chosen] {
    *chosen = [name, globals] { return Logs(*globals, *name); };
  });
}

}  // namespace baton
