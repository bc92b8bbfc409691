// baton ps: the runs of this machine, and the jobs of the pool, if there is one.
#include <chrono>
#include <iostream>
#include <memory>

#include "cli/command.h"
#include "cli/format.h"
#include "cli/pool_client.h"
#include "cli/pool_text.h"
#include "cli/run_json.h"
#include "keeper/process_id.h"
#include "keeper/run_record.h"

namespace baton {
namespace {

std::string CheckpointAge(const pb::RunRecord& record) {
  if (!record.has_last_checkpoint()) return "-";
  const int64_t age_ms = std::max<int64_t>(WallClockMs() - record.last_checkpoint().taken_ms(), 0);
  return fmt::format("{} ({} ago)", record.last_checkpoint().number(),
                     FormatDuration(std::chrono::milliseconds(age_ms)));
}

std::vector<std::string> Row(const StatePaths& paths, const pb::RunRecord& record) {
  const bool ended = record.state() == pb::RunRecord::ENDED;
  return {record.spec().name(),
          RunStateName(paths, record),
          ended ? std::to_string(record.exit_code()) : "-",
          FormatTime(record.created_ms()),
          CheckpointAge(record),
          CommandText(record.spec())};
}

struct PsFlags {
  PoolFlags pool;
  OutputFormat format = OutputFormat::kTable;
};

Result<> PsPool(const GlobalOptions& globals, const PsFlags& flags, nlohmann::json* json, std::string* text) {
  BATON_TRY(const auto client, ConnectToPool(flags.pool, globals));
  BATON_TRY(const pb::ListJobsReply jobs, client->ListJobs({}, kCallPatience));
  for (const auto& job : jobs.jobs()) json->push_back(JobJson(job));
  *text += JobTable(jobs);
  return {};
}

Result<> PsRuns(const GlobalOptions& globals, nlohmann::json* json, std::string* text) {
  BATON_TRY(const StatePaths paths, StatePaths::Find(globals.state_dir));
  BATON_TRY(const auto names, ListRuns(paths));
  std::vector<std::vector<std::string>> rows;
  for (const std::string& name : names) {
    const auto record = LoadRunRecord(paths, name);
    if (!record) {  // one damaged record must not hide the others
      json->push_back({{"name", name}, {"state", "unreadable"}, {"error", record.error().ToString()}});
      rows.push_back({name, "unreadable", "-", "-", "-", record.error().ToString()});
      continue;
    }
    json->push_back(RunJson(paths, *record));
    rows.push_back(Row(paths, *record));
  }
  // With a pool beside it, no table without a row.
  if (!rows.empty() && !text->empty()) *text += '\n';
  if (!rows.empty() || text->empty()) {
    *text += FormatTable({"NAME", "STATE", "EXIT", "CREATED", "CHECKPOINT", "COMMAND"}, rows);
  }
  return {};
}

// The pool's alone if it was named; else what is there.
Result<int> Ps(const GlobalOptions& globals, const PsFlags& flags) {
  nlohmann::json json = nlohmann::json::array();
  std::string text;
  const bool named = !flags.pool.controller.empty();
  if (PoolIsKnown(flags.pool, globals)) {
    auto listed = PsPool(globals, flags, &json, &text);
    if (!listed && named) return listed.Fail();
    if (!listed) std::cerr << "baton: the pool is not listed: " << listed.error().ToString() << '\n';
  }
  if (!named) BATON_CHECKED(PsRuns(globals, &json, &text));
  if (flags.format == OutputFormat::kJson) {
    BATON_CHECKED(PrintJson(json));
  } else {
    BATON_CHECKED(PrintText(text));
  }
  return 0;
}

}  // namespace

void AddPsCommand(const CommandLineParser& parser) {
  auto flags = std::make_shared<PsFlags>();
  CLI::App* command = parser.app->add_subcommand("ps", "List the runs of this machine, and a pool's jobs");
  AddPoolOptions(command, &flags->pool);
  AddFormatOption(command, &flags->format);
  command->footer(R"(
States: running; ended (see EXIT); interrupted: its keeper died, and
`baton run --resume NAME` goes on with it; failed: Baton could not start it or
go on with it (`baton show NAME` says why).
Jobs of a pool: queued; preparing; running; paused: without a lease, its worker
cannot reach the controller; stopped: saved, to go on elsewhere; ended; failed;
cancelled. With --controller: these alone.

Examples:
  baton ps
  baton ps -o json | jq -r '.[] | select(.state == "interrupted").name')");
  command->callback([flags, globals = parser.globals, chosen = parser.chosen] {
    *chosen = [flags, globals] { return Ps(*globals, *flags); };
  });
}

}  // namespace baton
