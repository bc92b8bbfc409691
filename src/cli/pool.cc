// baton pool up, baton pool down: a controller and workers on this machine.
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <memory>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "base/file.h"
#include "cli/command.h"
#include "cli/format.h"
#include "cli/pool_client.h"
#include "keeper/paths.h"
#include "keeper/process_id.h"
#include "keeper/run_record.h"
#include "pool/keeper/unit_files.h"

namespace baton {
namespace {

namespace fs = std::filesystem;

// STATE/controller         the controller's
// STATE/pool/daemons       what was started (Daemon), a line each
// STATE/pool/NAME.log      what it has to say
// STATE/pool/wN/           state directory of worker wN
class PoolPaths {
 public:
  static Result<PoolPaths> Find(const GlobalOptions& globals) {
    BATON_TRY(const StatePaths paths, StatePaths::Find(globals.state_dir));
    BATON_TRY(std::string state_dir, AbsolutePath(paths.state_dir()));
    return PoolPaths(std::move(state_dir));
  }
  const std::string& state_dir() const { return state_dir_; }
  std::string pool() const { return state_dir_ + "/pool"; }
  std::string daemons() const { return pool() + "/daemons"; }
  std::string log(const std::string& name) const { return pool() + "/" + name + ".log"; }
  std::string worker(const std::string& name) const { return pool() + "/" + name; }
  std::string store() const { return state_dir_ + "/pool-store"; }
  std::string address() const { return "unix:" + state_dir_ + "/controller/pool.sock"; }

 private:
  explicit PoolPaths(std::string state_dir) : state_dir_(std::move(state_dir)) {}
  std::string state_dir_;
};

struct Daemon {
  std::string name;
  ProcessId process;
  std::string boot_id;
};

Result<std::vector<Daemon>> LoadDaemons(const PoolPaths& paths) {
  const auto text = ReadFile(paths.daemons());
  if (!text && text.error().code() == ErrorCode::kNotFound) return std::vector<Daemon>();
  if (!text) return std::unexpected(text.error());
  std::vector<Daemon> daemons;
  std::istringstream lines(*text);
  for (Daemon daemon; lines >> daemon.name >> daemon.process.pid >> daemon.process.start_time >> daemon.boot_id;) {
    daemons.push_back(daemon);
  }
  return daemons;
}

Result<> SaveDaemons(const PoolPaths& paths, const std::vector<Daemon>& daemons) {
  std::string text;
  for (const Daemon& daemon : daemons) {
    text += fmt::format("{} {} {} {}\n", daemon.name, daemon.process.pid, daemon.process.start_time, daemon.boot_id);
  }
  return WriteFileDurably(paths.daemons(), text);
}

bool Lives(const Daemon& daemon) {
  const auto boot_id = BootId();
  return boot_id && *boot_id == daemon.boot_id && ProcessLives(daemon.process);
}

struct UpFlags {
  uint32_t workers = 3;
  double cpus = 0;
  std::string memory;
};

// Outlives us and our terminal.
Result<Daemon> Launch(const PoolPaths& paths, const std::string& name, std::vector<std::string> words) {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  posix_spawn_file_actions_init(&actions);
  posix_spawnattr_init(&attributes);
  const std::string log = paths.log(name);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO);
  // Whoever started us may wait for the end of what it gave us.
  posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID);
  words.insert(words.begin(), "baton");
  std::vector<char*> argv;
  argv.reserve(words.size() + 1);
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  pid_t pid = -1;
  const int error = posix_spawn(&pid, "/proc/self/exe", &actions, &attributes, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  if (error != 0) return ErrnoError(error, "start {}", name);
  Daemon daemon{.name = name, .process = {}, .boot_id = {}};
  BATON_TRY(daemon.boot_id, BootId());
  BATON_TRY(daemon.process, IdentifyProcess(pid));
  return daemon;
}

// Until it is so, its process has ended, or patience has.
template <typename Condition>
Result<> AwaitDaemon(const PoolPaths& paths, const Daemon& daemon, Condition is_so) {
  constexpr std::chrono::seconds kPatience(20);
  constexpr std::chrono::milliseconds kTurn(20);
  const auto until = std::chrono::steady_clock::now() + kPatience;
  while (!is_so()) {
    if (!Lives(daemon) || std::chrono::steady_clock::now() > until) {
      return MakeError(ErrorCode::kUnavailable, "{} does not come up: see {}", daemon.name, paths.log(daemon.name));
    }
    std::this_thread::sleep_for(kTurn);
  }
  return {};
}

Result<Daemon> LaunchWorker(const PoolPaths& paths, const UpFlags& flags, const std::string& name) {
  const double share = std::max(1.0, static_cast<double>(std::thread::hardware_concurrency()) / flags.workers);
  const double cpus = flags.cpus > 0 ? flags.cpus : share;
  const uint64_t all = static_cast<uint64_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  const std::string memory = flags.memory.empty() ? std::to_string(all / flags.workers) : flags.memory;
  return Launch(paths, name,
                {"--state-dir", paths.worker(name), "worker", "--name", name, "--controller", paths.address(),
                 "--store", paths.store(), "--cpus", fmt::format("{:g}", cpus), "--memory", memory});
}

bool IsPresent(RpcClient& client, const std::string& name) {
  const auto workers = client.ListWorkers({}, kCallPatience);
  return workers && std::ranges::any_of(workers->workers(), [&](const pb::WorkerInfo& worker) {
           return worker.id() == name && worker.present();
         });
}

Result<> StartAll(const PoolPaths& paths, const UpFlags& flags, std::vector<Daemon>* daemons) {
  BATON_TRY(const Endpoint endpoint, Endpoint::Parse(paths.address()));
  const auto client = RpcClient::Create(endpoint, "");
  BATON_TRY(const Daemon controller,
            Launch(paths, "controller", {"--state-dir", paths.state_dir(), "controller", "--store", paths.store()}));
  daemons->push_back(controller);
  BATON_CHECKED(SaveDaemons(paths, *daemons));
  BATON_CHECKED(AwaitDaemon(paths, controller, [&] { return client->GetPool({}, kCallPatience).has_value(); }));
  const size_t first = daemons->size();
  for (uint32_t number = 1; number <= flags.workers; ++number) {
    BATON_TRY(Daemon worker, LaunchWorker(paths, flags, fmt::format("w{}", number)));
    daemons->push_back(std::move(worker));
    BATON_CHECKED(SaveDaemons(paths, *daemons));
  }
  for (size_t i = first; i < daemons->size(); ++i) {
    const Daemon& worker = (*daemons)[i];
    BATON_CHECKED(AwaitDaemon(paths, worker, [&] { return IsPresent(*client, worker.name); }));
  }
  return {};
}

Result<> EndProcess(const ProcessId& process, const std::string& boot_id, int signal) {
  const auto now = BootId();
  if (!now || *now != boot_id) return {};
  const int raw = static_cast<int>(syscall(SYS_pidfd_open, process.pid, 0));
  if (raw < 0) return {};
  const UniqueFd handle(raw);
  if (!ProcessLives(process)) return {};
  syscall(SYS_pidfd_send_signal, handle.get(), signal, nullptr, 0);
  constexpr std::chrono::seconds kPatience(10);
  if (AwaitGone(process, kPatience)) return {};
  syscall(SYS_pidfd_send_signal, handle.get(), SIGKILL, nullptr, 0);
  return AwaitGone(process, kPatience);
}

// Keepers outlive their worker's daemon; their units die with them, by the kernel.
Result<> EndUnits(const std::string& units_dir) {
  BATON_TRY(const auto units, ListUnits(units_dir));
  for (const pool::UnitKey& unit : units) {
    const UnitFiles files(units_dir, unit);
    const auto keeper = files.LoadKeeper();
    if (!keeper) continue;
    BATON_CHECKED(EndProcess({.pid = keeper->pid(), .start_time = keeper->start_time()}, keeper->boot_id(), SIGKILL));
    BATON_TRY(const StatePaths paths, StatePaths::Find(files.state_dir()));
    const auto record = LoadRunRecord(paths, UnitName(unit));
    if (!record || record->boot_id() != keeper->boot_id()) continue;
    constexpr std::chrono::seconds kPatience(10);
    BATON_CHECKED(AwaitGone({.pid = record->init_pid(), .start_time = record->init_start_time()}, kPatience));
  }
  return {};
}

// Workers first, so that nothing is started anew; the controller last.
Result<> StopAll(const PoolPaths& paths, const std::vector<Daemon>& daemons) {
  for (const Daemon& daemon : daemons) {
    if (daemon.name == "controller") continue;
    BATON_CHECKED(EndProcess(daemon.process, daemon.boot_id, SIGTERM));
    BATON_CHECKED(EndUnits(paths.worker(daemon.name) + "/worker/units"));
  }
  for (const Daemon& daemon : daemons) {
    if (daemon.name == "controller") BATON_CHECKED(EndProcess(daemon.process, daemon.boot_id, SIGTERM));
  }
  std::error_code error;
  fs::remove(paths.daemons(), error);
  if (error) return ErrnoError(error.value(), "remove {}", paths.daemons());
  return {};
}

Result<int> Up(const GlobalOptions& globals, const UpFlags& flags) {
  if (flags.workers == 0) return MakeError(ErrorCode::kInvalidArgument, "--workers 0: at least one");
  BATON_TRY(const PoolPaths paths, PoolPaths::Find(globals));
  BATON_CHECKED(MakeDirectories(paths.pool()));
  BATON_TRY(std::vector<Daemon> daemons, LoadDaemons(paths));
  if (std::ranges::any_of(daemons, Lives)) {
    return MakeError(ErrorCode::kConflict, "the pool is up: {} daemons ({} ends them)", daemons.size(),
                     "baton pool down");
  }
  daemons.clear();
  auto started = StartAll(paths, flags, &daemons);
  if (!started) {
    // All or nothing.
    if (auto stopped = StopAll(paths, daemons); !stopped) return stopped.Fail("and the rest is not ended");
    return started.Fail();
  }
  BATON_CHECKED(PrintText(fmt::format("a controller at {}, and {} workers\n", paths.address(), flags.workers)));
  return 0;
}

size_t CountUnfinished(RpcClient& client) {
  const auto jobs = client.ListJobs({}, kCallPatience);
  if (!jobs) return 0;
  return static_cast<size_t>(std::ranges::count_if(jobs->jobs(), [](const pb::JobInfo& job) {
    return job.state() == pb::JOB_QUEUED || job.state() == pb::JOB_ACTIVE;
  }));
}

Result<int> Down(const GlobalOptions& globals) {
  BATON_TRY(const PoolPaths paths, PoolPaths::Find(globals));
  BATON_TRY(const std::vector<Daemon> daemons, LoadDaemons(paths));
  if (daemons.empty()) return MakeError(ErrorCode::kNotFound, "no pool was started here ({})", paths.pool());
  BATON_TRY(const Endpoint endpoint, Endpoint::Parse(paths.address()));
  const size_t unfinished = CountUnfinished(*RpcClient::Create(endpoint, ""));
  BATON_CHECKED(StopAll(paths, daemons));
  if (unfinished > 0) {
    BATON_CHECKED(PrintText(fmt::format(
        "{} jobs are not over: they go on from their last checkpoints with `baton pool up`\n", unfinished)));
  }
  return 0;
}

}  // namespace

void AddPoolCommand(const CommandLineParser& parser) {
  auto flags = std::make_shared<UpFlags>();
  CLI::App* pool = parser.app->add_subcommand("pool", "Start or end a pool on this machine");
  pool->require_subcommand(1);
  CLI::App* up = pool->add_subcommand("up", "Start a controller and workers on this machine");
  up->add_option("--workers", flags->workers, "How many (default: 3)")->type_name("N");
  up->add_option("--cpus", flags->cpus, "Processors of each (default: an equal share, at least 1)")->type_name("N");
  up->add_option("--memory", flags->memory, "Memory of each (default: an equal share)")->type_name("SIZE");
  up->footer(R"(
They run in the background until `baton pool down`. Jobs are given to them by
`baton submit`. Everything is in the state directory.)");
  up->callback([flags, globals = parser.globals, chosen = parser.chosen] {
    *chosen = [flags, globals] { return Up(*globals, *flags); };
  });
  CLI::App* down = pool->add_subcommand("down", "End the pool that was started here");
  down->footer(R"(
Ends controller, workers and all that they run. Jobs that are not over go on
from their last checkpoints at the next `baton pool up`.)");
  down->callback(
      [globals = parser.globals, chosen = parser.chosen] { *chosen = [globals] { return Down(*globals); }; });
}

}  // namespace baton
