// baton logs NAME: what a job has written to its stdout and stderr.
#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <memory>

#include "base/file.h"
#include "cli/command.h"
#include "cli/format.h"
#include "cli/pool_client.h"
#include "cli/pool_jobs.h"
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

struct LogsFlags {
  std::string name;
  bool follow = false;
  PoolFlags pool;
  OutputFormat format = OutputFormat::kTable;
};

Result<int> Logs(const GlobalOptions& globals, const LogsFlags& flags) {
  BATON_CHECKED(CheckRunName(flags.name));
  BATON_TRY(const StatePaths paths, StatePaths::Find(globals.state_dir));
  BATON_TRY(const pb::RunRecord record, LoadRunRecord(paths, flags.name));
  const std::string& path = record.output_path();
  BATON_TRY(const bool regular, IsRegularFile(path));
  if (!regular) {
    return MakeError(ErrorCode::kNotSupported, "the output of '{}' went to {}, which keeps nothing", flags.name, path);
  }
  if (flags.format == OutputFormat::kJson) {
    BATON_TRY(const std::string text, ReadFile(path));
    BATON_CHECKED(PrintJson({{"name", flags.name}, {"path", path}, {"bytes", text.size()}, {"text", text}}));
    return 0;
  }
  BATON_TRY(const UniqueFd file, OpenFile(path, O_RDONLY));
  BATON_CHECKED(CopyToStdout(file.get()));
  return 0;
}

Result<int> LogsOfRunOrJob(const GlobalOptions& globals, const LogsFlags& flags) {
  if (!MeansPoolJob(flags.name, flags.pool, globals)) {
    if (flags.follow) return MakeError(ErrorCode::kInvalidArgument, "--follow is for jobs of a pool");
    return Logs(globals, flags);
  }
  BATON_TRY(const uint64_t job, ParseJobId(flags.name));
  BATON_TRY(const auto client, ConnectToPool(flags.pool, globals));
  return LogsOfPoolJob(*client, job, flags.follow, flags.format);
}

}  // namespace

void AddLogsCommand(const CommandLineParser& parser) {
  auto flags = std::make_shared<LogsFlags>();
  CLI::App* command = parser.app->add_subcommand("logs", "Print what a run's job has written so far");
  command->add_option("name", flags->name, "The run, or a job's number")->required()->type_name("NAME");
  command->add_flag("-f,--follow", flags->follow, "Of a pool's job: go on until it is over");
  AddPoolOptions(command, &flags->pool);
  AddFormatOption(command, &flags->format);
  command->footer(R"(
The bytes as the job wrote them, stdout and stderr in one. The log is part of
the job's state: after a resume it is cut back to the checkpoint, so that in
the end it is what an undisturbed run would have written. As json: its path and
length too; bytes that are no UTF-8 are replaced.

With --follow, where a job went back to a checkpoint, stderr says so, and what
was printed since that checkpoint is void.

Examples:
  baton logs fit | tail
  baton logs -f 3
  baton logs fit -o json | jq -r .path)");
  command->callback([flags, globals = parser.globals, chosen = parser.chosen] {
    *chosen = [flags, globals] { return LogsOfRunOrJob(*globals, *flags); };
  });
}

}  // namespace baton
