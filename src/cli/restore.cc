// baton restore DIR: an image becomes running processes again.
#include <memory>

#include "cli/command.h"
#include "cli/external_flags.h"
#include "cli/format.h"
#include "cli/hook_flags.h"
#include "cli/move_flags.h"
#include "keeper/path_map.h"
#include "keeper/tree_restore.h"

namespace baton {
namespace {

struct RestoreFlags {
  TreeRestoreRequest request;
  std::string clock;
  std::vector<std::string> externals;
  HookFlags hooks;
  MoveFlags moves;
};

Result<int> Restore(const RestoreFlags& flags) {
  TreeRestoreRequest request = flags.request;
  request.clock_wall = flags.clock == "wall";
  BATON_TRY(request.externals, ParseExternalRules(flags.externals));
  BATON_TRY(request.hooks, ParseHooks(flags.hooks));
  BATON_TRY(request.path_maps, ParsePathMaps(flags.moves.path_maps));
  BATON_CHECKED(CheckEnvironment(flags.moves.environment));
  request.environment = flags.moves.environment;
  auto restored = RestoreTree(request);
  if (!restored) return restored.Fail("restore of {}", request.image);
  if (request.detach) BATON_CHECKED(PrintText(fmt::format("{}\n", restored->pid)));
  return restored->exit_code;
}

constexpr const char* kFooter = R"(
As root the processes come back under their old numbers, in the namespaces of
the caller; their first process is our child, and its exit code ours. With
--capsule, and always for an ordinary user, they come back in namespaces of
their own, with their clocks carried on, and end with their keeper.

SIGINT and SIGTERM are handed on; a second one kills. With --detach the number
of the first process is printed once it runs.

Examples:
  baton restore /var/tmp/image
  baton restore /var/tmp/image --detach --pid-file /run/sim.pid)";

}  // namespace

void AddRestoreCommand(const CommandLineParser& parser) {
  auto flags = std::make_shared<RestoreFlags>();
  TreeRestoreRequest& request = flags->request;
  CLI::App* command = parser.app->add_subcommand("restore", "Make the processes of an image again");
  command->add_option("image", request.image, "The image, as baton checkpoint --to made it")
      ->required()
      ->type_name("DIR");
  command->add_flag("--detach", request.detach, "Return once the processes run");
  command->add_option("--pid-file", request.pid_file, "Write the first process's number there")->type_name("FILE");
  command->add_flag("--capsule", request.capsule, "In namespaces of their own (always, for an ordinary user)");
  command
      ->add_option("--clock", flags->clock,
                   "In a capsule, CLOCK_MONOTONIC: 'run' leaves the time in between out (default), 'wall' counts it")
      ->check(CLI::IsMember({"run", "wall"}).description(""))
      ->type_name("run|wall");
  AddExternalFlags(command, &flags->externals, &request.shell_job);
  AddMoveOptions(command, &flags->moves);
  AddHookOptions(command, &flags->hooks, {.checkpoint = false, .signal = false});
  command->footer(kFooter);
  command->callback([flags, chosen = parser.chosen] { *chosen = [flags] { return Restore(*flags); }; });
}

}  // namespace baton
