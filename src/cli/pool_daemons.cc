// baton controller, baton worker, what a worker starts for a unit (pool-keeper), and what that one starts to
// call the controller (keeper-renew); the last two are not shown in the help.
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <filesystem>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "base/end_signals.h"
#include "cli/command.h"
#include "cli/format.h"
#include "controller/run_controller.h"
#include "keeper/paths.h"
#include "pool/keeper/run_unit.h"
#include "worker/pool_worker.h"
#include "worker/renew_for_keeper.h"

namespace baton {
namespace {

struct DaemonFlags {
  std::string listen;
  std::string store;
  std::string controller;
  std::string token_file;
  std::string name;
  double cpus = 0;
  std::string memory;
  std::string frozen_max;
  std::string unit;
  int renewal = -1;
};

Result<int> Controller(const DaemonFlags& flags, const GlobalOptions& globals) {
  BATON_TRY(const StatePaths paths, StatePaths::Find(globals.state_dir));
  const std::string directory = paths.state_dir() + "/controller";
  BATON_TRY(const Endpoint listen,
            Endpoint::Parse(flags.listen.empty() ? "unix:" + directory + "/pool.sock" : flags.listen));
  BATON_TRY(const std::string store,
            flags.store.empty() ? Result<std::string>(paths.state_dir() + "/pool-store") : AbsolutePath(flags.store));
  BATON_CHECKED(RunController({.directory = directory, .store_dir = store}, listen, [](const Endpoint& endpoint) {
    std::cout << "listening at " << endpoint.ToString() << std::endl;
  }));
  return 0;
}

Result<pool::Capacity> CapacityOf(const DaemonFlags& flags) {
  const double cpus = flags.cpus > 0 ? flags.cpus : std::thread::hardware_concurrency();
  const auto pages = static_cast<uint64_t>(sysconf(_SC_PHYS_PAGES));
  uint64_t memory = pages * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  if (!flags.memory.empty()) {
    BATON_TRY(memory, ParseBytes(flags.memory));
  }
  return pool::Capacity{.cpus_milli = static_cast<uint32_t>(cpus * 1000), .memory_bytes = memory};
}

std::string HostName() {
  std::array<char, 256> name{};
  return gethostname(name.data(), name.size() - 1) == 0 ? std::string(name.data()) : "worker";
}

Result<int> Worker(const DaemonFlags& flags, const GlobalOptions& globals) {
  BATON_TRY(const StatePaths paths, StatePaths::Find(globals.state_dir));
  BATON_TRY(const std::string state_dir, AbsolutePath(paths.state_dir()));
  BATON_TRY(const std::string store, AbsolutePath(flags.store));
  BATON_TRY(const pool::Capacity capacity, CapacityOf(flags));
  pool::Span frozen_max{0};
  if (!flags.frozen_max.empty()) {
    BATON_TRY(frozen_max, ParseDuration(flags.frozen_max));
  }
  // Keepers are not waited for: they are watched.
  signal(SIGCHLD, SIG_IGN);
  BATON_TRY(const UniqueFd signals, TakeEndSignals());
  BATON_TRY(const auto worker, PoolWorker::Open({.directory = state_dir + "/worker",
                                                 .name = flags.name.empty() ? HostName() : flags.name,
                                                 .store_dir = store,
                                                 .controller = flags.controller,
                                                 .token_file = flags.token_file,
                                                 .capacity = capacity,
                                                 .frozen_max = frozen_max}));
  BATON_CHECKED(worker->Run(signals.get()));
  return 0;
}

Result<int> Unit(const DaemonFlags& flags) {
  std::optional<UniqueFd> renewal;
  if (flags.renewal >= 0) {
    const int set = fcntl(flags.renewal, F_SETFD, FD_CLOEXEC);
    if (const int error = errno; set != 0) return ErrnoError(error, "--renewal {}", flags.renewal);
    renewal.emplace(flags.renewal);
  }
  prctl(PR_SET_NAME, "baton-keeper");
  BATON_CHECKED(RunUnit(flags.unit, std::move(renewal)));
  return 0;
}

Result<int> Renew(const DaemonFlags& flags) {
  prctl(PR_SET_NAME, "baton-renew");
  BATON_CHECKED(RenewForKeeper(flags.unit, STDIN_FILENO));
  return 0;
}

}  // namespace

void AddPoolDaemonCommands(const CommandLineParser& parser) {
  auto flags = std::make_shared<DaemonFlags>();
  CLI::App* controller = parser.app->add_subcommand("controller", "Run the controller of a pool of workers");
  controller->add_option("--listen", flags->listen, "unix:/PATH (default: in the state directory) or 127.0.0.1:PORT")
      ->type_name("ADDRESS");
  controller->add_option("--store", flags->store, "The directory for checkpoints, which all workers reach")
      ->type_name("DIR");
  controller->footer(R"(
Whoever reaches the address may give jobs. So it is a UNIX socket that is the
user's alone, or one of this machine's own addresses with a token, which the
controller writes to STATE/controller/token.)");
  controller->callback([flags, globals = parser.globals, chosen = parser.chosen] {
    *chosen = [flags, globals] { return Controller(*flags, *globals); };
  });
  CLI::App* worker = parser.app->add_subcommand("worker", "Lend this machine to a pool");
  worker->add_option("--controller", flags->controller, "Where the controller listens")
      ->type_name("ADDRESS")
      ->required();
  worker->add_option("--store", flags->store, "The directory for checkpoints")->type_name("DIR")->required();
  worker->add_option("--token-file", flags->token_file, "For a controller at 127.0.0.1:PORT")->type_name("FILE");
  worker->add_option("--name", flags->name, "Name of the worker (default: the host's)")->type_name("NAME");
  worker->add_option("--cpus", flags->cpus, "Processors for jobs (default: all)")->type_name("N");
  worker->add_option("--memory", flags->memory, "Memory for jobs (default: all)")->type_name("SIZE");
  worker
      ->add_option("--frozen-max", flags->frozen_max,
                   "A job that stood still without a lease for so long is given up (default: 24h)")
      ->type_name("TIME");
  worker->footer(R"(
Jobs run as who runs the worker; those of root's worker as who submitted them,
never as root. Ending the worker does not end its jobs: they go on, and it finds
them again when it is started again.)");
  worker->callback([flags, globals = parser.globals, chosen = parser.chosen] {
    *chosen = [flags, globals] { return Worker(*flags, *globals); };
  });
  CLI::App* unit = parser.app->add_subcommand("pool-keeper", "");
  unit->group("");
  unit->add_option("unit", flags->unit)->required();
  unit->add_option("--renewal", flags->renewal);
  unit->callback([flags, chosen = parser.chosen] { *chosen = [flags] { return Unit(*flags); }; });
  CLI::App* renew = parser.app->add_subcommand("keeper-renew", "");
  renew->group("");
  renew->add_option("unit", flags->unit)->required();
  renew->callback([flags, chosen = parser.chosen] { *chosen = [flags] { return Renew(*flags); }; });
}

}  // namespace baton
