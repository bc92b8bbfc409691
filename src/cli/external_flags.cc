#include "cli/external_flags.h"

namespace baton {

void AddExternalFlags(CLI::App* command, std::vector<std::string>* externals, bool* shell_job) {
  command
      ->add_option("--external", *externals,
                   "What becomes of a descriptor that leads out of the tree; may be given again")
      ->allow_extra_args(false)
      ->type_name("fd:N=inherit|close");
  command->add_flag("--shell-job", *shell_job,
                    "Session, process group and terminal may be those of the shell that restores");
}

void AddTcpOption(CLI::App* command, std::string* tcp) {
  command
      ->add_option("--tcp", *tcp,
                   "A TCP connection to outside: the checkpoint fails (default), or it is saved as closed by the other "
                   "end (ECONNRESET), so that the program connects again")
      ->check(CLI::IsMember({"fail", "close"}).description(""))
      ->type_name("fail|close");
}

Result<std::vector<ExternalRule>> ParseExternalRules(const std::vector<std::string>& texts) {
  std::vector<ExternalRule> rules;
  for (const std::string& text : texts) {
    BATON_TRY(const ExternalRule rule, ParseExternalRule(text));
    rules.push_back(rule);
  }
  return rules;
}

}  // namespace baton
