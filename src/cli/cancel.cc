// baton cancel JOB: ends a job of a pool.
#include <memory>

#include "cli/command.h"
#include "cli/pool_client.h"

namespace baton {
namespace {

struct CancelFlags {
  PoolFlags pool;
  std::string job;
};

Result<int> Cancel(const GlobalOptions& globals, const CancelFlags& flags) {
  BATON_TRY(const uint64_t job, ParseJobId(flags.job));
  BATON_TRY(const auto client, ConnectToPool(flags.pool, globals));
  pb::ChangeJobRequest change;
  change.set_job(job);
  change.mutable_cancel();
  BATON_CHECKED(client->ChangeJob(change, kCallPatience));
  return 0;
}

}  // namespace

void AddCancelCommand(const CommandLineParser& parser) {
  auto flags = std::make_shared<CancelFlags>();
  CLI::App* command = parser.app->add_subcommand("cancel", "End a pool's job");
  command->add_option("job", flags->job, "The job's number")->required()->type_name("JOB");
  AddPoolOptions(command, &flags->pool);
  command->footer(R"(
Returns when the controller has noted it. The job is over when its processes
are gone, or surely stand still for good: `baton wait JOB`. Its workspace as of
its last checkpoint stays: `baton fetch JOB DIR`.)");
  command->callback([flags, globals = parser.globals, chosen = parser.chosen] {
    *chosen = [flags, globals] { return Cancel(*globals, *flags); };
  });
}

}  // namespace baton
