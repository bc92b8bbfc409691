#include "keeper/tree_checkpoint.h"

#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <set>
#include <utility>

#include "base/fault.h"
#include "base/log.h"
#include "image/writer.h"
#include "keeper/hook.h"
#include "keeper/keeper.h"
#include "keeper/stop_and_capture.h"
#include "proc/process_files.h"
#include "store/pending_directory.h"
#include "thread/signals_blocked.h"

namespace baton {
namespace {

// What holds us would be stopped by us, and we with it.
Result<> CheckNotOurs(const std::set<pid_t>& members) {
  for (pid_t ancestor = getpid(); ancestor > 0;) {
    if (members.contains(ancestor)) {
      return MakeError(ErrorCode::kInvalidArgument,
                       "process {} is this baton or one of its parents: run baton from outside of what it is to save",
                       ancestor);
    }
    const auto stat = ReadStat(ancestor);
    if (!stat) return {};  // a parent outside our pid namespace
    ancestor = stat->ppid;
  }
  return {};
}

Result<> CheckUninterrupted(int signals) {
  signalfd_siginfo info{};
  if (read(signals, &info, sizeof(info)) != static_cast<ssize_t>(sizeof(info))) return {};
  return MakeError(ErrorCode::kUnavailable, "interrupted by signal {}; the processes go on", info.ssi_signo);
}

// Processes that end are likely to be restored soon; others are saved just in case.
Result<> WriteImage(UnitCapture* capture, const std::string& directory, bool leave_running) {
  BATON_TRY(ImageWriter writer, ImageWriter::Create(directory, {.bypass_cache = leave_running}));
  BATON_CHECKED(capture->Write(writer));
  return writer.Finish();
}

std::function<Result<std::vector<pid_t>>()> RootsFor(const TreeCheckpointRequest& request) {
  if (request.scope == ProcessScope::kTree) return {};
  return [pid = request.pid, scope = request.scope]() -> Result<std::vector<pid_t>> {
    BATON_TRY(const std::set<pid_t> members, MembersOf(pid, scope));
    return RootsOf(members, pid);
  };
}

// Commands before and after, in our own namespaces.
class TreeHooks {
 public:
  explicit TreeHooks(const TreeCheckpointRequest& request) : request_(request) {}

  Result<> Before() {
    begun_ = true;
    return Run("before", request_.hooks.before, "");
  }
  // Once after Before.
  void After(const char* outcome) {
    if (!std::exchange(begun_, false)) return;
    if (auto ran = Run("after", request_.hooks.after, outcome); !ran) error_ = ran.error().ToString();
  }
  const std::string& error() const { return error_; }

 private:
  Result<> Run(const char* name, const std::optional<std::string>& command, const char* outcome) const {
    if (!command || command->empty()) return {};
    const TreeHook hook{.name = name, .command = *command, .outcome = outcome, .pid = request_.pid};
    return RunTreeHook(hook, request_.hooks);
  }

  const TreeCheckpointRequest& request_;
  bool begun_ = false;
  std::string error_;
};

Result<> Save(UnitCapture* capture, const TreeCheckpointRequest& request, int signals, TreeHooks& hooks) {
  const SignalsBlocked while_it_stands = SignalsBlocked::Stops();
  BATON_TRY(PendingDirectory directory, PendingDirectory::Create(request.to));
  BATON_CHECKED(capture->Prepare());
  BATON_CHECKED(CheckUninterrupted(signals));
  BATON_CHECKED(StopAndCapture(*capture, [] { return Result<>(); }));
  if (request.leave_running) {
    BATON_CHECKED(capture->Resume());
    hooks.After("copied");
  }
  BATON_CHECKED(CheckUninterrupted(signals));
  if (auto written = WriteImage(capture, directory.path(), request.leave_running); !written)
    return written.Fail("write the image");
  BATON_CHECKED(CheckUninterrupted(signals));
  BATON_CHECKED(FailPoint("checkpoint.publish"));
  return directory.Commit();
}

}  // namespace

uint64_t DirectoryBytes(const std::string& directory) {
  uint64_t bytes = 0;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(directory, ignored)) {
    if (entry.is_regular_file(ignored)) bytes += entry.file_size(ignored);
  }
  return bytes;
}

Result<TreeCheckpointReport> CheckpointTree(const TreeCheckpointRequest& request) {
  const auto begin = std::chrono::steady_clock::now();
  if (request.pid <= 0) return MakeError(ErrorCode::kInvalidArgument, "{} is no process number", request.pid);
  BATON_TRY(const std::set<pid_t> members, MembersOf(request.pid, request.scope));
  BATON_CHECKED(CheckNotOurs(members));
  BATON_TRY(const UniqueFd signals, TakeSignals());
  BATON_TRY(const CaptureExternals externals,
            FindExternals(request.pid, request.externals, request.shell_job, members));
  BATON_TRY(const auto engine, MakeEngine("native"));
  BATON_TRY(const auto capture, engine->BeginCapture({.scope = CaptureRequest::Scope::kTree,
                                                      .pid = request.pid,
                                                      .externals = externals.externals,
                                                      .roots = RootsFor(request),
                                                      .shell_job = request.shell_job,
                                                      .reset_tcp_outside = request.reset_tcp_outside,
                                                      .ends_with_kill = !request.leave_running}));
  TreeHooks hooks(request);
  auto saved = hooks.Before();
  if (saved) saved = Save(capture.get(), request, signals.get(), hooks);
  if (!saved) {
    if (auto resumed = capture->Resume(); !resumed) BATON_LOG(kWarn, "{}", resumed.error().ToString());
    hooks.After("failed");
    return saved.Fail();
  }
  if (!request.leave_running) {
    if (auto killed = capture->Kill(); !killed) {
      return killed.Fail("the image {} is complete, but the processes could not be killed", request.to);
    }
  }
  hooks.After("copied");
  return TreeCheckpointReport{.stats = capture->stats(),
                              .bytes = DirectoryBytes(request.to),
                              .total = std::chrono::steady_clock::now() - begin,
                              .hook_error = hooks.error()};
}

}  // namespace baton
