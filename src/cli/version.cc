// baton version: what this program is.
#include "cli/command.h"
#include "cli/format.h"

namespace baton {

void AddVersionCommand(const CommandLineParser& parser) {
  CLI::App* command = parser.app->add_subcommand("version", "Print Baton's version");
  command->callback([chosen = parser.chosen] {
    *chosen = []() -> Result<int> {
      BATON_CHECKED(PrintText("baton " BATON_VERSION "\n"));
      return 0;
    };
  });
}

}  // namespace baton
