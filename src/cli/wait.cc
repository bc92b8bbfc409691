// baton wait JOB: until a job of a pool is over.
#include <memory>

#include "cli/command.h"
#include "cli/format.h"
#include "cli/pool_client.h"
#include "cli/pool_text.h"

namespace baton {
namespace {

struct WaitFlags {
  PoolFlags pool;
  std::string job, timeout;
  OutputFormat format = OutputFormat::kTable;
};

Result<int> Wait(const GlobalOptions& globals, const WaitFlags& flags) {
  BATON_TRY(const uint64_t job, ParseJobId(flags.job));
  std::chrono::milliseconds limit = std::chrono::hours(24 * 365);
  if (!flags.timeout.empty()) {
    BATON_TRY(limit, ParseDuration(flags.timeout));
  }
  BATON_TRY(const auto client, ConnectToPool(flags.pool, globals));
  BATON_TRY(const pb::JobInfo info, AwaitJob(*client, job, 0, limit));
  if (flags.format == OutputFormat::kJson) BATON_CHECKED(PrintJson(JobJson(info)));
  switch (info.state()) {
    case pb::JOB_ENDED:
      return info.exit_code();
    case pb::JOB_FAILED:
      return MakeError(ErrorCode::kUnavailable, "job {} failed: {}", job, info.note());
    case pb::JOB_CANCELLED:
      return MakeError(ErrorCode::kUnavailable, "job {} was cancelled", job);
    default:
      return MakeError(ErrorCode::kUnavailable, "job {} is not over after {}: {}", job, flags.timeout,
                       JobStateText(info));
  }
}

}  // namespace

void AddWaitCommand(const CommandLineParser& parser) {
  auto flags = std::make_shared<WaitFlags>();
  CLI::App* command = parser.app->add_subcommand("wait", "Wait until a pool's job is over");
  command->add_option("job", flags->job, "The job's number")->required()->type_name("JOB");
  command->add_option("--timeout", flags->timeout, "Not longer than this (30s, 5m ...)")->type_name("TIME");
  AddPoolOptions(command, &flags->pool);
  AddFormatOption(command, &flags->format);
  command->footer(R"(
Exit code: the job's own; 125 if it failed, was cancelled, or is not over in
time. A controller that is away for a while is waited for.

Example:
  baton wait 3 && baton fetch 3 ./result)");
  command->callback([flags, globals = parser.globals, chosen = parser.chosen] {
    *chosen = [flags, globals] { return Wait(*globals, *flags); };
  });
}

}  // namespace baton
