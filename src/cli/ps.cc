// baton ps: the runs of this machine.
#include <chrono>
#include <memory>

#include "cli/command.h"
#include "cli/format.h"
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

Result<int> Ps(const GlobalOptions& globals, OutputFormat format) {
  BATON_TRY(const StatePaths paths, StatePaths::Find(globals.state_dir));
  BATON_TRY(const auto names, ListRuns(paths));
  nlohmann::json json = nlohmann::json::array();
  std::vector<std::vector<std::string>> rows;
  for (const std::string& name : names) {
    const auto record = LoadRunRecord(paths, name);
    if (!record) {  // one damaged record must not hide the others
      json.push_back({{"name", name}, {"state", "unreadable"}, {"error", record.error().ToString()}});
      rows.push_back({name, "unreadable", "-", "-", "-", record.error().ToString()});
      continue;
    }
    json.push_back(RunJson(paths, *record));
    rows.push_back(Row(paths, *record));
  }
  if (format == OutputFormat::kJson) {
    BATON_CHECKED(PrintJson(json));
  } else {
    BATON_CHECKED(PrintText(FormatTable({"NAME", "STATE", "EXIT", "CREATED", "CHECKPOINT", "COMMAND"}, rows)));
  }
  return 0;
}

}  // namespace

void AddPsCommand(const CommandLineParser& parser) {
  auto format = std::make_shared<OutputFormat>(OutputFormat::kTable);
  CLI::App* command = parser.app->add_subcommand("ps", "List the runs of this machine");
  AddFormatOption(command, format.get());
  command->footer(R"(
States: running; ended (see EXIT); interrupted: its keeper died, and
`baton run --resume NAME` goes on with it; failed: Baton could not start it or
go on with it (`baton show NAME` says why).

Examples:
  baton ps
  baton ps -o json | jq -r '.[] | select(.state == "interrupted").name')");
  command->callback([format, globals = parser.globals, chosen = parser.chosen] {
    *chosen = [format, globals] { return Ps(*globals, *format); };
  });
}

}  // namespace baton
