#include "cli/move_flags.h"

#include "keeper/environment_change.h"

namespace baton {

void AddMoveOptions(CLI::App* command, MoveFlags* flags) {
  command
      ->add_option("--map-path", flags->path_maps,
                   "At a resume, in a capsule: what is NEW here is shown to the program as OLD; may be given again")
      ->type_name("OLD=NEW")
      ->allow_extra_args(false);
  command
      ->add_option("--env", flags->environment,
                   "At a resume: a new value, not longer than the old one, for the environment that its processes were "
                   "started with (as getenv(3) sees it); may be given again")
      ->type_name("NAME=VALUE")
      ->allow_extra_args(false);
}

Result<> CheckEnvironment(const std::vector<std::string>& environment) {
  for (const std::string& change : environment) BATON_CHECKED(CheckEnvironmentChange(change));
  return {};
}

}  // namespace baton
