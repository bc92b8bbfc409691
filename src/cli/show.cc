// baton show NAME: all that is known about one run, or a job of a pool.
#include <chrono>
#include <memory>

#include "cli/command.h"
#include "cli/format.h"
#include "cli/pool_client.h"
#include "cli/pool_jobs.h"
#include "cli/run_json.h"
#include "keeper/control_socket.h"
#include "keeper/run_record.h"

namespace baton {
namespace {

// The keeper's own view while it lives, else the record on disk.
Result<pb::RunRecord> CurrentRecord(const StatePaths& paths, const std::string& name) {
  BATON_TRY(pb::RunRecord record, LoadRunRecord(paths, name));
  if (!RunLock::IsHeld(paths, name)) return record;
  pb::ControlRequest request;
  request.mutable_status();
  const auto reply = CallKeeper(paths.socket(name), request);
  // A keeper that is just starting or ending does not answer; then the disk has it.
  return reply && reply->has_record() ? reply->record() : record;
}

std::string CheckpointText(const pb::RunRecord& record) {
  if (!record.has_last_checkpoint()) return "none";
  const pb::CheckpointNote& note = record.last_checkpoint();
  return fmt::format("{} at {}: pause {}, {} in {}, {} processes, {} threads", note.number(),
                     FormatTime(note.taken_ms()), FormatDuration(std::chrono::microseconds(note.pause_us())),
                     FormatBytes(note.bytes()), FormatDuration(std::chrono::microseconds(note.total_us())),
                     note.processes(), note.threads());
}

std::string Text(const StatePaths& paths, const pb::RunRecord& record) {
  const pb::JobSpec& spec = record.spec();
  std::string text;
  const auto line = [&text](std::string_view key, const std::string& value) {
    if (!value.empty()) text += fmt::format("{:<12} {}\n", key, value);
  };
  line("name", spec.name());
  line("state", RunStateName(paths, record));
  if (record.state() == pb::RunRecord::ENDED) line("exit code", std::to_string(record.exit_code()));
  line("error", record.error());
  line("command", CommandText(spec));
  line("directory", spec.cwd());
  line("files", spec.files() == pb::JobSpec::HOST ? "host" : "workspace " + spec.workdir());
  for (const std::string& directory : spec.keep()) line("", "workspace " + directory);
  for (const auto& placed : record.placed()) line("placed", placed.job_path() + " is at " + placed.host_path());
  line("created", FormatTime(record.created_ms()));
  line("attempt", record.resumed_from() == 0
                      ? std::to_string(record.attempt())
                      : fmt::format("{}, from checkpoint {}", record.attempt(), record.resumed_from()));
  if (record.ended_ms() != 0) line("ended", FormatTime(record.ended_ms()));
  line("keeper", fmt::format("pid {}", record.keeper_pid()));
  if (record.job_pid() != 0) line("job", fmt::format("pid {}", record.job_pid()));
  line("output", record.output_path());
  line("store", record.store_dir());
  if (spec.every_ms() != 0) line("every", FormatDuration(std::chrono::milliseconds(spec.every_ms())));
  line("hook before", spec.hooks().before());
  line("hook after", spec.hooks().after());
  line("hook resume", spec.hooks().resume());
  line("checkpoint", CheckpointText(record));
  for (const std::string& path : record.last_checkpoint().written_outside()) line("not saved", path);
  line("hook", record.last_checkpoint().hook_error());
  if (!record.last_checkpoint_error().empty()) {
    line("", fmt::format("failed at {}: {}", FormatTime(record.last_checkpoint_error_ms()),
                         record.last_checkpoint_error()));
  }
  return text;
}

Result<int> Show(const GlobalOptions& globals, const std::string& name, OutputFormat format) {
  BATON_CHECKED(CheckRunName(name));
  BATON_TRY(const StatePaths paths, StatePaths::Find(globals.state_dir));
  BATON_TRY(const pb::RunRecord record, CurrentRecord(paths, name));
  if (format == OutputFormat::kJson) {
    BATON_CHECKED(PrintJson(RunJson(paths, record)));
  } else {
    BATON_CHECKED(PrintText(Text(paths, record)));
  }
  return 0;
}

struct ShowFlags {
  std::string name;
  PoolFlags pool;
  OutputFormat format = OutputFormat::kTable;
};

Result<int> ShowRunOrJob(const GlobalOptions& globals, const ShowFlags& flags) {
  if (!MeansPoolJob(flags.name, flags.pool, globals)) return Show(globals, flags.name, flags.format);
  BATON_TRY(const uint64_t job, ParseJobId(flags.name));
  BATON_TRY(const auto client, ConnectToPool(flags.pool, globals));
  return ShowPoolJob(*client, job, flags.format);
}

}  // namespace

void AddShowCommand(const CommandLineParser& parser) {
  auto flags = std::make_shared<ShowFlags>();
  CLI::App* command = parser.app->add_subcommand("show", "Show what is known about a run, or a pool's job");
  command->add_option("name", flags->name, "The run, or a job's number")->required()->type_name("NAME");
  AddPoolOptions(command, &flags->pool);
  AddFormatOption(command, &flags->format);
  command->footer(R"(
While the job runs its keeper is asked, afterwards the record on disk is shown.

Of a job: its attempts, workers, checkpoints and history.

Examples:
  baton show fit
  baton show 3
  baton show fit -o json | jq .last_checkpoint.pause_us)");
  command->callback([flags, globals = parser.globals, chosen = parser.chosen] {
    *chosen = [flags, globals] { return ShowRunOrJob(*globals, *flags); };
  });
}

}  // namespace baton
