// baton checkpoint NAME: a checkpoint of a running job, now. baton checkpoint --pid PID --to DIR: an image of a process
// tree that Baton did not start.
#include <chrono>
#include <cstdlib>
#include <iostream>
#include <limits>
#include <memory>

#include "cli/command.h"
#include "cli/external_flags.h"
#include "cli/format.h"
#include "cli/hook_flags.h"
#include "cli/pool_client.h"
#include "cli/pool_jobs.h"
#include "cli/run_json.h"
#include "cli/self/ask.h"
#include "cli/self/become.h"
#include "keeper/control_socket.h"
#include "keeper/run_record.h"
#include "keeper/tree_checkpoint.h"

namespace baton {
namespace {

struct CheckpointFlags {
  std::string name;
  bool self = false;
  PoolFlags pool;
  pid_t pid = 0;
  std::string scope;
  std::string to;
  bool leave_running = false;
  bool shell_job = false;
  std::vector<std::string> externals;
  std::string tcp;
  HookFlags hooks;
  OutputFormat format = OutputFormat::kTable;
};

Result<int> CheckpointRun(const GlobalOptions& globals, const CheckpointFlags& flags) {
  BATON_CHECKED(CheckRunName(flags.name));
  BATON_TRY(const StatePaths paths, StatePaths::Find(globals.state_dir));
  BATON_TRY(const pb::RunRecord record, LoadRunRecord(paths, flags.name));
  if (!RunLock::IsHeld(paths, flags.name)) {
    return MakeError(ErrorCode::kUnavailable, "run '{}' is not running ({})", flags.name, RunStateName(paths, record));
  }
  pb::ControlRequest request;
  request.mutable_checkpoint();
  auto reply = CallKeeper(paths.socket(flags.name), request);
  if (!reply) return reply.Fail("checkpoint of run '{}'", flags.name);
  const pb::CheckpointNote& note = reply->checkpoint();
  if (flags.format == OutputFormat::kJson) {
    BATON_CHECKED(PrintJson(CheckpointJson(note)));
    return 0;
  }
  BATON_CHECKED(
      PrintText(fmt::format("checkpoint {}: pause {}, {}, {} in all\n", note.number(),
                            FormatDuration(std::chrono::microseconds(note.pause_us())), FormatBytes(note.bytes()),
                            FormatDuration(std::chrono::microseconds(note.total_us())))));
  return 0;
}

nlohmann::json ReportJson(const std::string& directory, const TreeCheckpointReport& report) {
  using std::chrono::microseconds;
  return {{"image", directory},
          {"pause_us", std::chrono::duration_cast<microseconds>(report.stats.pause).count()},
          {"total_us", std::chrono::duration_cast<microseconds>(report.total).count()},
          {"bytes", report.bytes},
          {"memory_bytes", report.stats.memory_bytes},
          {"processes", report.stats.processes},
          {"threads", report.stats.threads}};
}

nlohmann::json ScopesJson(const ScopeReport& report) {
  nlohmann::json scopes = nlohmann::json::object();
  for (const ScopeReport::Scope& scope : report.scopes) scopes[ScopeName(scope.scope)] = scope.members;
  nlohmann::json differences = nlohmann::json::array();
  for (const ScopeDifference& difference : report.differences) {
    differences.push_back({{"pid", difference.pid},
                           {"name", difference.name},
                           {"in", ScopeName(difference.in)},
                           {"not_in", ScopeName(difference.not_in)}});
  }
  return {{"members", std::move(scopes)}, {"differences", std::move(differences)}};
}

// Before anything is touched; where no place for an image is given, that is all.
Result<ProcessScope> ShowScopes(const CheckpointFlags& flags) {
  if (flags.scope.empty()) return ProcessScope::kTree;
  BATON_TRY(const ProcessScope scope, ParseScope(flags.scope));
  auto report = CompareScopes(flags.pid, scope);
  if (!report) return report.Fail("--scope {}", flags.scope);
  const std::string text = ScopeText(flags.pid, scope, *report);
  if (!flags.to.empty()) {
    std::cerr << "baton: " << text;
  } else if (flags.format == OutputFormat::kJson) {
    BATON_CHECKED(PrintJson(ScopesJson(*report)));
  } else {
    BATON_CHECKED(PrintText(text));
  }
  return scope;
}

Result<int> CheckpointPid(const CheckpointFlags& flags) {
  if (flags.pid == 0 || (flags.to.empty() && flags.scope.empty())) {
    return MakeError(ErrorCode::kInvalidArgument, "--pid PID and --to DIR belong together");
  }
  BATON_TRY(const ProcessScope scope, ShowScopes(flags));
  if (flags.to.empty()) return 0;
  TreeCheckpointRequest request{.pid = flags.pid,
                                .scope = scope,
                                .to = flags.to,
                                .leave_running = flags.leave_running,
                                .shell_job = flags.shell_job,
                                .reset_tcp_outside = flags.tcp == "close"};
  BATON_TRY(request.externals, ParseExternalRules(flags.externals));
  BATON_TRY(request.hooks, ParseHooks(flags.hooks));
  auto report = CheckpointTree(request);
  if (!report) return report.Fail("checkpoint of process {}", flags.pid);
  if (!report->hook_error.empty()) std::cerr << fmt::format("baton: {}\n", report->hook_error);
  if (flags.format == OutputFormat::kJson) {
    BATON_CHECKED(PrintJson(ReportJson(flags.to, *report)));
    return 0;
  }
  BATON_CHECKED(
      PrintText(fmt::format("{}: {} processes, {} threads, pause {}, {}, {} in all\n", flags.to,
                            report->stats.processes, report->stats.threads, FormatDuration(report->stats.pause),
                            FormatBytes(report->bytes), FormatDuration(report->total))));
  return 0;
}

Result<int> CheckpointSelf(const CheckpointFlags& flags) {
  const char* const socket = std::getenv("BATON_SOCKET");
  if (socket == nullptr || *socket == '\0') {
    return MakeError(ErrorCode::kInvalidArgument,
                     "--self is for programs in a job of `baton run` or a pool: BATON_SOCKET is not set");
  }
  const bool json = flags.format == OutputFormat::kJson;
  BecomeAsker(socket, json);
  return AskForCheckpoint(socket, json);
}

Result<int> Checkpoint(const GlobalOptions& globals, const CheckpointFlags& flags) {
  const bool tree = flags.pid != 0 || !flags.to.empty();
  if (flags.self && (tree || !flags.name.empty())) {
    return MakeError(ErrorCode::kInvalidArgument, "--self is the job this runs in: give neither a NAME nor --pid");
  }
  if (flags.self) return CheckpointSelf(flags);
  if (tree == !flags.name.empty()) {
    return MakeError(ErrorCode::kInvalidArgument, "give the NAME of a run, or --pid PID and --to DIR, or --self");
  }
  if (tree) return CheckpointPid(flags);
  const bool hooks = flags.hooks.before || flags.hooks.after || flags.hooks.timeout;
  if (flags.leave_running || flags.shell_job || !flags.externals.empty() || !flags.tcp.empty() || hooks ||
      !flags.scope.empty()) {
    return MakeError(
        ErrorCode::kInvalidArgument,
        "--leave-running, --shell-job, --external, --tcp, --scope and --hook-... are for --pid (a job has those that "
        "`baton run` was given)");
  }
  if (!MeansPoolJob(flags.name, flags.pool, globals)) return CheckpointRun(globals, flags);
  BATON_TRY(const uint64_t job, ParseJobId(flags.name));
  BATON_TRY(const auto client, ConnectToPool(flags.pool, globals));
  return CheckpointPoolJob(*client, job, flags.format);
}

constexpr const char* kFooter = R"(
With --pid the processes below PID are saved with it, and killed once the
image is complete; with --leave-running they go on. If anything fails before
that, they go on as if nothing had been.

With --scope these are all of PID's session, process group or control group,
and the processes below them: children go with their parents.

Descriptors that lead out of the tree (a terminal, a pipe to another process)
cannot be saved. Say what becomes of them at the restore:
  --external fd:N=inherit   baton restore's own descriptor N takes the place
  --external fd:N=close     it is closed
  --shell-job               inherit terminal, session, and 0, 1, 2 where they
                            are a terminal or a pipe

The hooks are for --pid: commands for /bin/sh with our environment, BATON_PID
and, after it, BATON_OUTCOME (copied, failed). A job has those of `baton run`.

With --self the program asks for a checkpoint of its own job. It returns twice:
with `saved N G` once checkpoint N is in the store, and with `resumed N G` in
each job that goes on from it. G counts the starts and resumes of the job.

Examples:
  baton checkpoint fit
  case $(baton checkpoint --self) in resumed*) ./reconnect ;; esac
  baton checkpoint --pid 4242 --to /var/tmp/image --external fd:1=inherit)";

}  // namespace

void AddCheckpointCommand(const CommandLineParser& parser) {
  auto flags = std::make_shared<CheckpointFlags>();
  CLI::App* command = parser.app->add_subcommand("checkpoint", "Save a running job, or a process tree, now");
  command->add_option("name", flags->name, "The run, or the number of a pool's job")->type_name("NAME");
  command->add_flag("--self", flags->self, "Save the job in which this is run; says 'saved N G' or 'resumed N G'");
  AddPoolOptions(command, &flags->pool);
  command->add_option("--pid", flags->pid, "Save this process and all below it, which Baton did not start")
      ->check(CLI::Range(1, std::numeric_limits<pid_t>::max()).description(""))
      ->type_name("PID");
  command
      ->add_option("--scope", flags->scope,
                   "With --pid, what belongs to it: 'tree' (default) what is below it; all of its session, process "
                   "group or control group. Says what they disagree on; without --to nothing else")
      ->check(CLI::IsMember({"tree", "session", "pgrp", "cgroup"}).description(""))
      ->type_name("tree|session|pgrp|cgroup");
  command->add_option("--to", flags->to, "With --pid: where the image goes; must not exist or be empty")
      ->type_name("DIR");
  command->add_flag("--leave-running", flags->leave_running, "With --pid: let the processes go on");
  AddExternalFlags(command, &flags->externals, &flags->shell_job);
  AddTcpOption(command, &flags->tcp);
  AddHookOptions(command, &flags->hooks, {.resume = false, .signal = false});
  AddFormatOption(command, &flags->format);
  command->footer(kFooter);
  command->callback([flags, globals = parser.globals, chosen = parser.chosen] {
    *chosen = [flags, globals] { return Checkpoint(*globals, *flags); };
  });
}

}  // namespace baton
