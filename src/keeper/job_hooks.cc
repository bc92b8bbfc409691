#include "keeper/job_hooks.h"

#include <signal.h>

#include <cerrno>
#include <utility>

#include "keeper/hook.h"
#include "proc/process_files.h"

namespace baton {
namespace {

// Its socket and its lock are not for a hook, which would wait for itself.
std::vector<std::string> EnvironmentOf(const pb::JobSpec& spec) {
  pb::JobSpec without_port = spec;
  without_port.clear_port();
  return JobEnvironment(without_port);
}

}  // namespace

JobHooks::JobHooks(const pb::RunRecord& record, const JobPort* port, pid_t root_ns_pid)
    : hooks_(record.spec().hooks()),
      env_(EnvironmentOf(record.spec())),
      cwd_(record.spec().cwd()),
      port_(port),
      init_pid_(record.init_pid()),
      root_pid_(record.job_pid()),
      root_ns_pid_(root_ns_pid),
      generation_(record.attempt()) {}

std::chrono::milliseconds JobHooks::limit() const { return HookLimit(hooks_); }

Result<> JobHooks::Run(const std::string& name, const std::string& command, uint64_t checkpoint,
                       std::string_view outcome) const {
  Hook hook{.name = name, .command = command, .env = env_, .cwd = cwd_, .inside = init_pid_, .limit = limit()};
  hook.env.push_back(fmt::format("BATON_CHECKPOINT={}", checkpoint));
  hook.env.push_back(fmt::format("BATON_GENERATION={}", generation_));
  hook.env.push_back(fmt::format("BATON_PID={}", root_ns_pid_));
  if (!outcome.empty()) hook.env.push_back(fmt::format("BATON_OUTCOME={}", outcome));
  return RunHook(hook);
}

// One that nobody has prepared for would end the program.
Result<> JobHooks::SendSignal() const {
  BATON_TRY(const ProcStatus status, ReadStatus(root_pid_));
  const uint64_t bit = uint64_t{1} << (hooks_.signal() - 1);
  if (((status.sig_cgt | status.sig_ign | status.sig_blk) & bit) == 0) {
    return MakeError(ErrorCode::kUnavailable, "process {} does not handle signal {} (yet): it was not sent",
                     root_ns_pid_, hooks_.signal());
  }
  const int sent = kill(root_pid_, hooks_.signal());
  if (const int error = errno; sent != 0) return ErrnoError(error, "signal process {}", root_ns_pid_);
  return {};
}

Result<> JobHooks::Before(uint64_t checkpoint) {
  begun_ = !hooks_.before().empty() || hooks_.signal() != 0;
  if (!hooks_.before().empty()) BATON_CHECKED(Run("before", hooks_.before(), checkpoint, ""));
  if (hooks_.signal() == 0 || port_ == nullptr) return {};
  port_->ForgetReady();
  BATON_CHECKED(SendSignal());
  if (port_->AwaitReady(limit())) return {};
  return MakeError(ErrorCode::kUnavailable, "the program has not said that it is ready within {} ms after signal {}",
                   limit().count(), hooks_.signal());
}

Result<> JobHooks::After(std::string_view word, uint64_t checkpoint) {
  begun_ = false;
  Result<> signalled;
  if (hooks_.signal() != 0 && port_ != nullptr) signalled = SendSignal();
  if (!hooks_.after().empty()) BATON_CHECKED(Run("after", hooks_.after(), checkpoint, word));
  return signalled;
}

Result<> JobHooks::ResumeCommand(uint64_t checkpoint) const {
  return hooks_.resume().empty() ? Result<>() : Run("resume", hooks_.resume(), checkpoint, "resumed");
}

Result<> JobHooks::ResumeSignal() const { return hooks_.signal() == 0 || port_ == nullptr ? Result<>() : SendSignal(); }

}  // namespace baton
