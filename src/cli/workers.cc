// baton workers, baton drain W: the workers of a pool.
#include <memory>

#include "cli/command.h"
#include "cli/format.h"
#include "cli/pool_client.h"
#include "cli/pool_text.h"

namespace baton {
namespace {

struct WorkersFlags {
  PoolFlags pool;
  std::string worker;
  bool undo = false;
  OutputFormat format = OutputFormat::kTable;
};

Result<int> Workers(const GlobalOptions& globals, const WorkersFlags& flags) {
  BATON_TRY(const auto client, ConnectToPool(flags.pool, globals));
  BATON_TRY(const pb::ListWorkersReply workers, client->ListWorkers({}, kCallPatience));
  if (flags.format == OutputFormat::kTable) {
    BATON_CHECKED(PrintText(WorkerTable(workers)));
    return 0;
  }
  nlohmann::json json = nlohmann::json::array();
  for (const auto& worker : workers.workers()) json.push_back(WorkerJson(worker));
  BATON_CHECKED(PrintJson(json));
  return 0;
}

Result<int> Drain(const GlobalOptions& globals, const WorkersFlags& flags) {
  BATON_TRY(const auto client, ConnectToPool(flags.pool, globals));
  pb::DrainWorkerRequest request;
  request.set_worker(flags.worker);
  request.set_drain(!flags.undo);
  BATON_CHECKED(client->DrainWorker(request, kCallPatience));
  return 0;
}

}  // namespace

void AddWorkersCommands(const CommandLineParser& parser) {
  auto flags = std::make_shared<WorkersFlags>();
  CLI::App* workers = parser.app->add_subcommand("workers", "List the workers of a pool");
  AddPoolOptions(workers, &flags->pool);
  AddFormatOption(workers, &flags->format);
  workers->footer(R"(
States: ready; draining: takes no new jobs (baton drain); leaving: its machine
is about to go; silent: not heard of.)");
  workers->callback([flags, globals = parser.globals, chosen = parser.chosen] {
    *chosen = [flags, globals] { return Workers(*globals, *flags); };
  });
  CLI::App* drain = parser.app->add_subcommand("drain", "Let a worker take no more jobs, and move those it has");
  drain->add_option("worker", flags->worker, "The worker's name")->required()->type_name("WORKER");
  drain->add_flag("--undo", flags->undo, "Let it take jobs again");
  AddPoolOptions(drain, &flags->pool);
  drain->footer(R"(
Its jobs are moved as far as there is room elsewhere; those for which there is
none go on where they are until there is.)");
  drain->callback([flags, globals = parser.globals, chosen = parser.chosen] {
    *chosen = [flags, globals] { return Drain(*globals, *flags); };
  });
}

}  // namespace baton
