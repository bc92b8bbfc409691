// baton migrate JOB: a pool's job is saved, stopped, and goes on elsewhere.
#include <iostream>
#include <memory>
#include <thread>

#include "cli/command.h"
#include "cli/format.h"
#include "cli/pool_client.h"
#include "cli/pool_text.h"

namespace baton {
namespace {

struct MigrateFlags {
  PoolFlags pool;
  std::string job, to;
  OutputFormat format = OutputFormat::kTable;
};

// Until the attempt after `epoch` runs, or the job is over.
Result<pb::ShowJobReply> AwaitNextAttempt(RpcClient& client, uint64_t job, uint64_t epoch) {
  pb::ShowJobRequest request;
  request.set_job(job);
  while (true) {
    auto shown = client.ShowJob(request, kCallPatience);
    if (!shown && shown.error().code() != ErrorCode::kUnavailable) return shown.Fail();
    if (shown) {
      const pb::JobInfo& info = shown->job();
      const bool over = info.state() != pb::JOB_QUEUED && info.state() != pb::JOB_ACTIVE;
      if (over || (info.epoch() > epoch && info.unit() == pb::RUNNING)) return shown;
    }
    constexpr std::chrono::milliseconds kTurn(50);
    std::this_thread::sleep_for(kTurn);
  }
}

Result<int> Migrate(const GlobalOptions& globals, const MigrateFlags& flags) {
  BATON_TRY(const uint64_t job, ParseJobId(flags.job));
  BATON_TRY(const auto client, ConnectToPool(flags.pool, globals));
  pb::ShowJobRequest show;
  show.set_job(job);
  BATON_TRY(const pb::ShowJobReply before, client->ShowJob(show, kCallPatience));
  pb::ChangeJobRequest change;
  change.set_job(job);
  change.mutable_move()->set_to(flags.to);
  BATON_TRY(const pb::ChangeJobReply asked, client->ChangeJob(change, kCallPatience));
  BATON_TRY(const pb::JobInfo info, AwaitJob(*client, job, asked.request()));
  if (!info.request_error().empty()) {
    return MakeError(ErrorCode::kUnavailable, "job {} stays where it is: {}", job, info.request_error());
  }
  BATON_TRY(const pb::ShowJobReply after, AwaitNextAttempt(*client, job, before.job().epoch()));
  if (after.job().state() != pb::JOB_ACTIVE) {
    return MakeError(ErrorCode::kUnavailable, "job {} is over: {}", job, JobStateText(after.job()));
  }
  if (flags.format == OutputFormat::kJson) {
    BATON_CHECKED(PrintJson(JobJson(after)));
    return 0;
  }
  const pb::AttemptInfo& attempt = after.attempts(after.attempts_size() - 1);
  BATON_CHECKED(PrintText(fmt::format("job {} runs on {}, from checkpoint {}\n", job, attempt.worker(),
                                      CheckpointName(attempt.resumed_from()))));
  return 0;
}

}  // namespace

void AddMigrateCommand(const CommandLineParser& parser) {
  auto flags = std::make_shared<MigrateFlags>();
  CLI::App* command = parser.app->add_subcommand("migrate", "Move a pool's job to another worker");
  command->add_option("job", flags->job, "The job's number")->required()->type_name("JOB");
  command->add_option("--to", flags->to, "The worker (default: the one with the most room)")->type_name("WORKER");
  AddPoolOptions(command, &flags->pool);
  AddFormatOption(command, &flags->format);
  command->footer(R"(
The job is saved, stands still from then on, and goes on from there: no work is
done twice. If it cannot be saved it goes on where it is.

Example:
  baton migrate 3 --to pc7)");
  command->callback([flags, globals = parser.globals, chosen = parser.chosen] {
    *chosen = [flags, globals] { return Migrate(*globals, *flags); };
  });
}

}  // namespace baton
