// baton run: a job in the foreground, on this machine, with no daemon and no root.
#include <unistd.h>

#include <array>
#include <filesystem>
#include <iostream>
#include <memory>
#include <utility>
#include <vector>

#include "cli/command.h"
#include "cli/external_flags.h"
#include "cli/format.h"
#include "cli/hook_flags.h"
#include "cli/move_flags.h"
#include "cli/setuid_note.h"
#include "keeper/path_map.h"
#include "keeper/paths.h"
#include "keeper/run_job.h"

namespace baton {
namespace {

struct RunFlags {
  std::string name;
  std::string resume;
  std::string every;
  std::string store;
  std::string fs;
  std::string output;
  std::string workdir;
  std::vector<std::string> keep;
  std::vector<std::string> exclude;
  std::string workspace_limit;
  std::string clock;
  std::string files;
  std::string tcp;
  HookFlags hooks;
  MoveFlags moves;
  bool replace = false;
  std::vector<std::string> command;
};

struct NamedFlag {
  const char* name;
  bool given;
};

// What the checkpoint knows cannot be changed.
Result<> CheckResumeFlags(const RunFlags& flags) {
  const std::array<NamedFlag, 5> fixed{{{"--fs", !flags.fs.empty()},
                                        {"--keep", !flags.keep.empty()},
                                        {"--exclude", !flags.exclude.empty()},
                                        {"--workspace-limit", !flags.workspace_limit.empty()},
                                        {"--replace", flags.replace}}};
  for (const NamedFlag& flag : fixed) {
    if (!flag.given) continue;
    return MakeError(ErrorCode::kInvalidArgument,
                     "{} is not for --resume: the checkpoint knows how the job was started", flag.name);
  }
  return {};
}

Result<> CheckHostFlags(const RunFlags& flags) {
  const std::array<NamedFlag, 4> of_workspace{{{"--workdir", !flags.workdir.empty()},
                                               {"--keep", !flags.keep.empty()},
                                               {"--exclude", !flags.exclude.empty()},
                                               {"--workspace-limit", !flags.workspace_limit.empty()}}};
  for (const NamedFlag& flag : of_workspace) {
    if (!flag.given) continue;
    return MakeError(ErrorCode::kInvalidArgument, "{} is for --fs work: with --fs host no file is saved", flag.name);
  }
  return {};
}

Result<> CheckFlags(const RunFlags& flags) {
  if (!flags.resume.empty() && !flags.command.empty()) {
    return MakeError(ErrorCode::kInvalidArgument, "--resume takes no command: the checkpoint knows it");
  }
  if (flags.resume.empty() && flags.command.empty()) {
    return MakeError(ErrorCode::kInvalidArgument, "no command given: baton run [OPTIONS] -- COMMAND [ARGS...]");
  }
  if (!flags.resume.empty() && !flags.name.empty() && flags.name != flags.resume) {
    return MakeError(ErrorCode::kInvalidArgument, "--resume {} and --name {} do not agree", flags.resume, flags.name);
  }
  BATON_CHECKED(CheckEnvironment(flags.moves.environment));
  if (!flags.resume.empty()) return CheckResumeFlags(flags);
  if (!flags.moves.path_maps.empty() || !flags.moves.environment.empty()) {
    return MakeError(ErrorCode::kInvalidArgument, "--map-path and --env are for --resume");
  }
  if (!flags.files.empty() && flags.fs != "host") {
    return MakeError(ErrorCode::kInvalidArgument,
                     "--files is for --fs host: with --fs work files come from the checkpoint");
  }
  return flags.fs == "host" ? CheckHostFlags(flags) : Result<>();
}

Result<std::string> ExistingDirectory(const std::string& path) {
  BATON_TRY(std::string absolute, AbsolutePath(path));
  std::error_code error;
  if (!std::filesystem::is_directory(absolute, error)) {
    return MakeError(ErrorCode::kNotFound, "{} is not a directory", absolute);
  }
  return absolute;
}

Result<pb::JobSpec> SpecOf(const RunFlags& flags) {
  pb::JobSpec spec;
  spec.set_name(flags.resume.empty() ? flags.name : flags.resume);
  if (!flags.resume.empty()) return spec;
  spec.mutable_argv()->Assign(flags.command.begin(), flags.command.end());
  for (char** variable = environ; *variable != nullptr; ++variable) spec.add_env(*variable);
  BATON_TRY(const std::string cwd, AbsolutePath("."));
  spec.set_cwd(cwd);
  spec.set_files(flags.fs == "host" ? pb::JobSpec::HOST : pb::JobSpec::WORK);
  if (spec.files() == pb::JobSpec::WORK) {
    BATON_TRY(*spec.mutable_workdir(),
              flags.workdir.empty() ? Result<std::string>(cwd) : ExistingDirectory(flags.workdir));
    for (const std::string& directory : flags.keep) {
      BATON_TRY(*spec.add_keep(), ExistingDirectory(directory));
    }
  }
  spec.mutable_exclude()->Assign(flags.exclude.begin(), flags.exclude.end());
  spec.set_clock_wall(flags.clock == "wall");
  spec.set_changed_files(flags.files);
  spec.set_reset_tcp_outside(flags.tcp == "close");
  if (!flags.workspace_limit.empty()) {
    BATON_TRY(const uint64_t limit, ParseBytes(flags.workspace_limit));
    spec.set_workspace_limit_bytes(limit);
  }
  return spec;
}

Result<RunRequest> RequestOf(const RunFlags& flags, const GlobalOptions& globals) {
  BATON_CHECKED(CheckFlags(flags));
  BATON_TRY(StatePaths paths, StatePaths::Find(globals.state_dir));
  BATON_TRY(pb::JobSpec spec, SpecOf(flags));
  RunRequest request{.paths = std::move(paths), .spec = std::move(spec), .store_dir = ""};
  if (!flags.store.empty()) {
    BATON_TRY(request.store_dir, AbsolutePath(flags.store));
  }
  if (!flags.output.empty()) {
    BATON_TRY(request.output_path, AbsolutePath(flags.output));
  }
  if (!flags.every.empty()) {
    BATON_TRY(const auto every, ParseDuration(flags.every));
    request.every_ms = static_cast<uint64_t>(every.count());
    request.spec.set_every_ms(*request.every_ms);
  }
  BATON_TRY(request.hooks, ParseHooks(flags.hooks));
  if (flags.resume.empty()) request.hooks.Apply(request.spec.mutable_hooks());
  BATON_TRY(request.path_maps, ParsePathMaps(flags.moves.path_maps));
  request.environment = flags.moves.environment;
  request.replace = flags.replace;
  request.resume = !flags.resume.empty();
  if (request.resume && !flags.clock.empty()) request.clock_wall = flags.clock == "wall";
  if (request.resume && !flags.tcp.empty()) request.reset_tcp_outside = flags.tcp == "close";
  if (request.resume && !flags.files.empty()) request.spec.set_changed_files(flags.files);
  if (request.resume && !flags.workdir.empty()) {
    BATON_TRY(request.place_workdir, AbsolutePath(flags.workdir));
  }
  return request;
}

Result<int> RunOrResume(const RunFlags& flags, const GlobalOptions& globals) {
  BATON_TRY(const RunRequest request, RequestOf(flags, globals));
  if (request.spec.argv_size() > 0) {
    const std::string note = SetuidNote(request.spec.argv(0));
    if (!note.empty()) std::cerr << "baton: " << note << '\n';
  }
  BATON_TRY(const JobEnd end, RunJob(request));
  if (!end.note.empty()) std::cerr << "baton: " << end.note << '\n';
  return end.exit_code;
}

constexpr const char* kFooter = R"(
The job runs in the foreground in namespaces of its own, its first process as
pid 2; SIGINT and SIGTERM go to it, a second one kills it. Its output goes to
the terminal and to a log (baton logs NAME).

Exit code: the job's own; 128 + n if signal n ended it; 125 if Baton failed;
126 if the command cannot be executed, 127 if it is not found.

As an ordinary user the job has your user and group id, and, with newuidmap
installed, those that /etc/subuid and /etc/subgid lend you: files of others show
as owned by 65534 (nobody), and their setuid programs (sudo, su) gain no rights.

Hooks are commands for /bin/sh, run in the job's namespaces with its environment
and BATON_HOOK, BATON_CHECKPOINT, BATON_GENERATION, BATON_OUTCOME (copied,
failed, resumed), BATON_PID. With --resume they replace those it was started
with; '' is none. The job itself finds BATON_SOCKET, BATON_STATUS_FILE,
BATON_GENERATION_FILE and BATON_LOCK_FILE in its environment.

Examples:
  baton run --every 30s -- ./sim --steps 1000000
  baton run --name fit --store /nfs/ckpt -- python3 fit.py
  baton run --resume fit --store /nfs/ckpt)";

void AddFileFlags(CLI::App* command, RunFlags* flags) {
  command
      ->add_option("--fs", flags->fs,
                   "Files: 'work' (default) saves the workspace (working directory, --keep, a private /tmp) with every "
                   "checkpoint and brings it back; 'host' saves no files and checks the open ones")
      ->check(CLI::IsMember({"work", "host"}).description(""))
      ->type_name("work|host");
  command
      ->add_option("--workdir", flags->workdir,
                   "The workspace's main directory (default: the current one). With --resume: where to put it on "
                   "this machine; the job still sees it at its old path")
      ->type_name("DIR");
  command->add_option("--keep", flags->keep, "Another directory of the workspace; may be given again")
      ->type_name("DIR")
      ->allow_extra_args(false);
  command->add_option("--exclude", flags->exclude, "Files of the workspace that are not saved; may be given again")
      ->type_name("GLOB")
      ->allow_extra_args(false);
  command
      ->add_option("--workspace-limit", flags->workspace_limit, "Refuse a workspace larger than this (for example 20G)")
      ->type_name("SIZE");
  command
      ->add_option("--files", flags->files,
                   "With --fs host, at resume: cut files that have grown (truncate), or take all as they are (ignore)")
      ->check(CLI::IsMember({"truncate", "ignore"}).description(""))
      ->type_name("truncate|ignore");
}

}  // namespace

void AddRunCommand(const CommandLineParser& parser) {
  auto flags = std::make_shared<RunFlags>();
  CLI::App* command = parser.app->add_subcommand("run", "Run a command so that it can be saved and resumed");
  command->add_option("--name", flags->name, "Name of the run (default: made from the command)")->type_name("NAME");
  command->add_option("--every", flags->every, "Make a checkpoint this often (30s, 5m ...); default: only when asked")
      ->type_name("TIME");
  command->add_option("--store", flags->store, "Where checkpoints are kept (default: in the state directory)")
      ->type_name("DIR");
  command->add_option("--output", flags->output, "The log file (default: in the state directory)")->type_name("FILE");
  AddFileFlags(command, flags.get());
  command
      ->add_option("--clock", flags->clock,
                   "CLOCK_MONOTONIC after a resume: 'run' leaves the time in between out (default), 'wall' counts it")
      ->check(CLI::IsMember({"run", "wall"}).description(""))
      ->type_name("run|wall");
  AddTcpOption(command, &flags->tcp);
  AddHookOptions(command, &flags->hooks, {});
  AddMoveOptions(command, &flags->moves);
  command
      ->add_option("--resume", flags->resume,
                   "Go on with this run from its newest good checkpoint, after a crash or on another machine")
      ->type_name("NAME");
  command->add_flag("--replace", flags->replace, "Start over though an interrupted run of this name could be resumed");
  command->add_option("command", flags->command, "The command and its arguments, after --")->type_name("COMMAND");
  command->positionals_at_end();
  command->footer(kFooter);
  command->callback([flags, globals = parser.globals, chosen = parser.chosen] {
    *chosen = [flags, globals] { return RunOrResume(*flags, *globals); };
  });
}

}  // namespace baton
