// baton submit: a job for a pool.
#include <pwd.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/file.h"
#include "cli/command.h"
#include "cli/external_flags.h"
#include "cli/format.h"
#include "cli/hook_flags.h"
#include "cli/pool_client.h"
#include "keeper/paths.h"
#include "keeper/run_name.h"
#include "pool/keeper/saved_tree.h"
#include "pool/keeper/unit_files.pb.h"
#include "pool/wire/pool_store.h"

namespace baton {
namespace {

namespace fs = std::filesystem;

struct SubmitFlags {
  PoolFlags pool;
  std::string name, every, memory = "1G", user, tcp;
  std::vector<std::string> inputs, excludes, command;
  double cpus = 1;
  uint32_t retries = 0;
  HookFlags hooks;
  OutputFormat format = OutputFormat::kTable;
};

Result<std::string> NewInputName() {
  std::array<unsigned char, 12> bytes{};
  const ssize_t got = getrandom(bytes.data(), bytes.size(), 0);
  if (const int error = errno; got != static_cast<ssize_t>(bytes.size())) return ErrnoError(error, "getrandom");
  std::string name;
  for (const unsigned char byte : bytes) name += fmt::format("{:02x}", byte);
  return name;
}

// Files and directories, each under its own name, in one directory.
Result<> Gather(const std::vector<std::string>& inputs, const std::string& to) {
  BATON_CHECKED(MakeDirectories(to));
  for (const std::string& input : inputs) {
    BATON_TRY(const std::string from, AbsolutePath(input));
    const fs::path target = fs::path(to) / fs::path(from).filename();
    std::error_code error;
    if (fs::exists(fs::symlink_status(target, error))) {
      return MakeError(ErrorCode::kInvalidArgument, "two inputs are named {}", target.filename().string());
    }
    fs::copy(from, target, fs::copy_options::recursive | fs::copy_options::copy_symlinks, error);
    if (error) return ErrnoError(error.value(), "--input {}", input);
  }
  return {};
}

// A user for whom root submits must be able to read it.
Result<> GiveAll(const std::string& directory, uid_t user) {
  std::vector<std::string> paths{directory};
  std::error_code error;
  for (const auto& entry : fs::recursive_directory_iterator(directory, error)) paths.push_back(entry.path());
  if (error) return ErrnoError(error.value(), "{}", directory);
  for (const std::string& path : paths) {
    const int given = lchown(path.c_str(), user, static_cast<gid_t>(-1));
    if (const int failed = errno; given != 0) return ErrnoError(failed, "give {} to user {}", path, user);
  }
  return {};
}

// Sent along: what becomes of the files after this does not matter to the job. One directory is the workspace itself.
Result<> SaveInput(const SubmitFlags& flags, const PoolStore& store, const std::string& name) {
  const std::string gathered = store.input(name) + ".gathered";
  std::error_code error;
  const bool one_directory = flags.inputs.size() == 1 && fs::is_directory(flags.inputs.front(), error);
  Result<> saved;
  std::string from = gathered;
  if (one_directory) {
    BATON_TRY(from, AbsolutePath(flags.inputs.front()));
  } else {
    saved = Gather(flags.inputs, gathered);
  }
  if (saved) {
    auto tree = SaveTree(from, store.input(name),
                         {.objects_dir = {}, .roots = {}, .excludes = flags.excludes, .skip_paths = {store.root()}});
    if (!tree) saved = tree.Fail("--input");
  }
  fs::remove_all(gathered, error);
  return saved;
}

Result<uid_t> ParseUser(const std::string& text) {
  if (const passwd* known = getpwnam(text.c_str()); known != nullptr) return known->pw_uid;
  uid_t user = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), user);
  if (error != std::errc() || end != text.data() + text.size()) {
    return MakeError(ErrorCode::kInvalidArgument, "--user {}: there is no such user", text);
  }
  return user;
}

Result<pb::PoolJob> JobOf(const SubmitFlags& flags) {
  pb::PoolJob job;
  job.set_version(1);
  pb::JobSpec& spec = *job.mutable_spec();
  spec.set_version(1);
  spec.mutable_argv()->Assign(flags.command.begin(), flags.command.end());
  spec.mutable_exclude()->Assign(flags.excludes.begin(), flags.excludes.end());
  for (char** variable = environ; *variable != nullptr; ++variable) spec.add_env(*variable);
  BATON_TRY(const HookChanges hooks, ParseHooks(flags.hooks));
  hooks.Apply(spec.mutable_hooks());
  if (!flags.every.empty()) {
    BATON_TRY(const auto every, ParseDuration(flags.every));
    if (every.count() <= 0) return MakeError(ErrorCode::kInvalidArgument, "--every {}: more than nothing", flags.every);
    spec.set_every_ms(static_cast<uint64_t>(every.count()));
  }
  spec.set_reset_tcp_outside(flags.tcp == "close");
  return job;
}

Result<pb::SubmitRequest> RequestOf(const SubmitFlags& flags) {
  pb::SubmitRequest request;
  request.set_name(flags.name.empty() ? NameFromProgram(flags.command.front()) : flags.name);
  BATON_CHECKED(CheckRunName(request.name()));
  constexpr double kMostCpus = 1'000'000;
  if (!(flags.cpus > 0 && flags.cpus <= kMostCpus)) {
    return MakeError(ErrorCode::kInvalidArgument, "--cpus {}: more than 0", flags.cpus);
  }
  constexpr double kMilli = 1'000;
  request.set_cpus_milli(static_cast<uint32_t>(std::max(1.0, std::round(flags.cpus * kMilli))));
  BATON_TRY(const uint64_t memory, ParseBytes(flags.memory));
  request.set_memory_bytes(memory);
  request.set_retries(flags.retries);
  if (!flags.user.empty()) {
    BATON_TRY(const uid_t user, ParseUser(flags.user));
    request.set_user(user);
  }
  BATON_TRY(const pb::PoolJob job, JobOf(flags));
  request.set_spec(job.SerializeAsString());
  if (!pb::PoolJob().ParseFromString(request.spec())) {
    return MakeError(ErrorCode::kNotSupported, "the command or the environment has bytes that are no UTF-8");
  }
  return request;
}

Result<int> Submit(const GlobalOptions& globals, const SubmitFlags& flags) {
  BATON_TRY(pb::SubmitRequest request, RequestOf(flags));
  BATON_TRY(const auto client, ConnectToPool(flags.pool, globals));
  if (!flags.inputs.empty()) {
    BATON_TRY(const pb::GetPoolReply pool, client->GetPool({}, kCallPatience));
    const PoolStore store(pool.store_dir());
    BATON_TRY(*request.mutable_input(), NewInputName());
    BATON_CHECKED(SaveInput(flags, store, request.input()));
    if (request.has_user() && geteuid() == 0) BATON_CHECKED(GiveAll(store.input(request.input()), request.user()));
  }
  // What is not taken leaves an input that the controller removes after a day.
  BATON_TRY(const pb::SubmitReply reply, client->Submit(request, kCallPatience));
  if (flags.format == OutputFormat::kJson) {
    BATON_CHECKED(PrintJson({{"job", reply.job()}, {"name", request.name()}}));
  } else {
    BATON_CHECKED(PrintText(fmt::format("{}\n", reply.job())));
  }
  return 0;
}

constexpr const char* kFooter = R"(
Prints the job's number. The job runs in a workspace of its own, /tmp/job to its
eyes, that begins with what --input names: a directory's content, or files. It
is saved with every checkpoint, goes with the job to other workers, and is the
result at the end: `baton fetch JOB DIR`. stdin is /dev/null; stdout and stderr
are the job's log. The environment goes along.

Examples:
  baton submit --every 30s --input ./case -- ./solver case.cfg
  job=$(baton submit -- make -j4) && baton wait $job)";

}  // namespace

void AddSubmitCommand(const CommandLineParser& parser) {
  auto flags = std::make_shared<SubmitFlags>();
  CLI::App* command = parser.app->add_subcommand("submit", "Give a job to a pool of workers");
  command->add_option("--name", flags->name, "Name of the job (default: made from the command)")->type_name("NAME");
  command->add_option("--every", flags->every, "Make a checkpoint this often (30s, 5m ...; default: only when asked)")
      ->type_name("TIME");
  command->add_option("--cpus", flags->cpus, "Processors that it needs (default: 1)")->type_name("N");
  command->add_option("--memory", flags->memory, "Memory that it needs (default: 1G)")->type_name("SIZE");
  command->add_option("--retries", flags->retries, "How often it is tried again after an exit code other than 0")
      ->type_name("N");
  command->add_option("--input", flags->inputs, "Directory with which its workspace begins, or files; may be repeated")
      ->type_name("PATH")
      ->allow_extra_args(false);
  command->add_option("--exclude", flags->excludes, "Files not to save, as in baton run; may be repeated")
      ->type_name("PATTERN")
      ->allow_extra_args(false);
  AddTcpOption(command, &flags->tcp);
  command->add_option("--user", flags->user, "Root only: as whom it runs where workers are root's")->type_name("USER");
  AddHookOptions(command, &flags->hooks, {});
  AddPoolOptions(command, &flags->pool);
  AddFormatOption(command, &flags->format);
  command->add_option("command", flags->command, "The command and its arguments, after --")
      ->type_name("COMMAND")
      ->required();
  command->positionals_at_end();
  command->footer(kFooter);
  command->callback([flags, globals = parser.globals, chosen = parser.chosen] {
    *chosen = [flags, globals] { return Submit(*globals, *flags); };
  });
}

}  // namespace baton
