#include "cli/hook_flags.h"

#include "cli/format.h"
#include "keeper/hook.h"

namespace baton {

void AddHookOptions(CLI::App* command, HookFlags* flags, const HookOptions& options) {
  if (options.checkpoint) {
    command->add_option("--hook-before", flags->before, "Run before each checkpoint; if it fails, there is none")
        ->type_name("COMMAND");
    command->add_option("--hook-after", flags->after, "Run after it, when the program goes on, and when it failed")
        ->type_name("COMMAND");
  }
  if (options.resume) {
    command->add_option("--hook-resume", flags->resume, "Run before the program goes on; if it fails, it does not")
        ->type_name("COMMAND");
  }
  if (options.signal) {
    command
        ->add_option("--hook-signal", flags->signal,
                     "Tell the program by this signal to look at its status file (docs/guides/hooks.md)")
        ->type_name("SIGNAL");
  }
  command
      ->add_option("--hook-timeout", flags->timeout,
                   options.signal
                       ? "How long a hook, the program's answer or a critical section may take (default: 30s)"
                       : "How long a hook may take (default: 30s)")
      ->type_name("TIME");
}

Result<HookChanges> ParseHooks(const HookFlags& flags) {
  HookChanges changes{.before = flags.before, .after = flags.after, .resume = flags.resume};
  if (flags.signal) {
    if (flags.signal->empty()) {
      changes.signal = 0;
    } else {
      BATON_TRY(changes.signal, ParseSignal(*flags.signal));
    }
  }
  if (!flags.timeout) return changes;
  BATON_TRY(const auto limit, ParseDuration(*flags.timeout));
  if (limit.count() <= 0)
    return MakeError(ErrorCode::kInvalidArgument, "--hook-timeout {}: more than nothing", *flags.timeout);
  changes.limit_ms = static_cast<uint64_t>(limit.count());
  return changes;
}

}  // namespace baton
