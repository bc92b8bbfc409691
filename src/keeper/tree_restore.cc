#include "keeper/tree_restore.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <functional>
#include <memory>
#include <optional>
#include <thread>
#include <utility>

#include "base/fault.h"
#include "base/file.h"
#include "capsule/capsule.h"
#include "engine/engine.h"
#include "image/reader.h"
#include "keeper/environment_change.h"
#include "keeper/event_loop.h"
#include "keeper/hook.h"
#include "keeper/keeper.h"
#include "keeper/paths.h"
#include "keeper/process_numbers.h"
#include "keeper/processes_below.h"
#include "keeper/spawners.h"

namespace baton {
namespace {

// An image, checked, with what its restore needs.
struct Loaded {
  std::unique_ptr<Engine> engine;
  std::unique_ptr<ImageReader> image;
  UnitSummary summary;
  std::map<std::string, int> externals;
};

Result<Loaded> Load(const TreeRestoreRequest& request) {
  Loaded loaded;
  BATON_TRY(loaded.engine, MakeEngine("native"));
  BATON_TRY(loaded.image, ImageReader::Open(request.image));
  BATON_CHECKED(loaded.image->Verify(std::max(1U, std::thread::hardware_concurrency())));
  BATON_TRY(loaded.summary, loaded.engine->ReadSummary(*loaded.image));
  BATON_TRY(loaded.externals, PlaceExternals(loaded.summary.externals, request.externals));
  return loaded;
}

Result<> WritePidFile(const std::string& path, pid_t pid) {
  if (path.empty()) return {};
  constexpr mode_t kReadable = 0644;
  if (auto written = WriteFileDurably(path, fmt::format("{}\n", pid), kReadable); !written) {
    return written.Fail("pid file");
  }
  return {};
}

// Takes it away again if the processes do not come to run.
class PidFile {
 public:
  static Result<PidFile> Write(const std::string& path, pid_t pid) {
    BATON_CHECKED(WritePidFile(path, pid));
    return PidFile(path);
  }
  PidFile(PidFile&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  PidFile& operator=(PidFile&&) = delete;
  ~PidFile() {
    if (!path_.empty()) unlink(path_.c_str());
  }
  void Keep() { path_.clear(); }

 private:
  explicit PidFile(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

// To the job as a terminal would: its first process's group, if that is its own.
void HandOn(int number, pid_t root) { kill(getpgid(root) == root ? -root : root, number); }

// Hands signals on to the unit while it runs.
class SignalHandler {
 public:
  SignalHandler(int signals, pid_t root, std::function<void()> on_second)
      : signals_(signals), root_(root), on_second_(std::move(on_second)) {}

  Result<> OnSignal() {
    signalfd_siginfo info{};
    while (read(signals_, &info, sizeof(info)) == static_cast<ssize_t>(sizeof(info))) {
      const int number = static_cast<int>(info.ssi_signo);
      const bool stop = number == SIGINT || number == SIGTERM;
      if (stop && std::exchange(interrupted_, true)) {
        on_second_();
      } else {
        HandOn(number, root_);
      }
    }
    return {};
  }

 private:
  int signals_;
  pid_t root_;
  std::function<void()> on_second_;
  bool interrupted_ = false;
};

Result<int> AwaitChild(pid_t root, int signals) {
  const auto raw = static_cast<int>(syscall(SYS_pidfd_open, root, 0U));
  if (const int error = errno; raw < 0) return ErrnoError(error, "process {}", root);
  const UniqueFd pidfd(raw);
  SignalHandler handler(signals, root, [root] { kill(root, SIGKILL); });
  EventLoop loop;
  bool ended = false;
  loop.Watch(signals, POLLIN, [&](short) { return handler.OnSignal(); });
  loop.Watch(pidfd.get(), POLLIN, [&](short) -> Result<> {
    ended = true;
    return {};
  });
  while (!ended) BATON_CHECKED(loop.RunOnce(-1));
  int wait_status = 0;
  pid_t waited = 0;
  do {
    waited = waitpid(root, &wait_status, 0);
  } while (waited < 0 && errno == EINTR);
  const int error = errno;
  if (waited < 0) return ErrnoError(error, "wait for process {}", root);
  return ExitCodeOf(wait_status);
}

// Everything is made, and stands still.
Result<> RunResumeHook(const TreeRestoreRequest& request, pid_t root, std::optional<pid_t> inside) {
  if (!request.hooks.resume || request.hooks.resume->empty()) return {};
  return RunTreeHook(
      {.name = "resume", .command = *request.hooks.resume, .outcome = "resumed", .pid = root, .inside = inside},
      request.hooks);
}

Result<RestoredTree> RestoreInPlace(const TreeRestoreRequest& request, const Loaded& loaded, int signals) {
  BATON_CHECKED(CheckNumbersFree(loaded.summary.numbers));
  LocalSpawner spawner;
  BATON_TRY(const auto restore, loaded.engine->BeginRestore({.image = loaded.image.get(),
                                                             .spawner = &spawner,
                                                             .in_capsule = false,
                                                             .externals = loaded.externals,
                                                             .shell_job = request.shell_job}));
  BATON_CHECKED(restore->Rebuild());
  const pid_t root = restore->root_pid();
  BATON_TRY(PidFile pid_file, PidFile::Write(request.pid_file, root));
  BATON_CHECKED(ChangeEnvironment({loaded.summary.numbers.begin(), loaded.summary.numbers.end()}, request.environment));
  BATON_CHECKED(RunResumeHook(request, root, std::nullopt));
  BATON_CHECKED(restore->Go());
  pid_file.Keep();
  if (request.detach) return RestoredTree{.pid = root};
  BATON_TRY(const int exit_code, AwaitChild(root, signals));
  return RestoredTree{.pid = root, .exit_code = exit_code};
}

// Until everything in the capsule has ended. What is left when the first process ends gets its chance by init.
Result<int> AwaitCapsule(Capsule* capsule, pid_t root_host_pid, int signals) {
  std::optional<int> root_status;
  bool init_gone = false;
  SignalHandler handler(signals, root_host_pid, [&] {
    root_status = root_status.value_or(SIGKILL);  // as wait(2) would report it
    kill(capsule->init_pid(), SIGKILL);
  });
  const auto take_events = [&]() -> Result<> {
    while (!init_gone) {
      BATON_TRY(const auto event, capsule->NextEvent());
      if (!event) return {};
      init_gone = event->kind == CapsuleEvent::Kind::kInitGone;
      if (!init_gone && event->ns_pid == capsule->root_ns_pid()) root_status = event->wait_status;
    }
    return {};
  };
  EventLoop loop;
  loop.Watch(signals, POLLIN, [&](short) { return handler.OnSignal(); });
  loop.Watch(capsule->event_fd(), POLLIN, [&](short) { return take_events(); });
  BATON_CHECKED(take_events());
  while (!init_gone) BATON_CHECKED(loop.RunOnce(-1));
  if (root_status) return ExitCodeOf(*root_status);
  return MakeError(ErrorCode::kUnavailable, "the capsule's init was killed from outside");
}

// `on_running` is called once the processes run.
Result<RestoredTree> RestoreInCapsule(const TreeRestoreRequest& request, const Loaded& loaded, int signals,
                                      const std::function<void(pid_t root)>& on_running) {
  CapsuleOptions options;
  options.user_namespace = geteuid() != 0;
  options.binds = request.path_maps;
  BATON_TRY(const SavedClocks clocks, loaded.engine->ReadClocks(*loaded.image));
  CarryClocks(clocks, request.clock_wall, &options);
  // Not ours: who reads our output to its end must not wait for init's. Externals come from us.
  BATON_TRY(const UniqueFd null, OpenFile("/dev/null", O_RDWR));
  options.stdin_fd = options.stdout_fd = options.stderr_fd = null.get();
  BATON_TRY(Capsule capsule, Capsule::Create(options));
  CapsuleSpawner spawner(&capsule);
  BATON_TRY(const auto restore, loaded.engine->BeginRestore({.image = loaded.image.get(),
                                                             .spawner = &spawner,
                                                             .externals = loaded.externals,
                                                             .shell_job = request.shell_job}));
  BATON_CHECKED(restore->Rebuild());
  BATON_CHECKED(capsule.WatchRoot(loaded.summary.root_pid));
  const pid_t root = restore->root_pid();
  BATON_TRY(PidFile pid_file, PidFile::Write(request.pid_file, root));
  BATON_CHECKED(ChangeEnvironment(ProcessesBelow(capsule.init_pid()), request.environment));
  BATON_CHECKED(RunResumeHook(request, loaded.summary.root_pid, capsule.init_pid()));
  BATON_CHECKED(restore->Go());
  pid_file.Keep();
  on_running(root);
  BATON_TRY(const int exit_code, AwaitCapsule(&capsule, root, signals));
  return RestoredTree{.pid = root, .exit_code = exit_code};
}

Result<RestoredTree> RestoreHere(const TreeRestoreRequest& request, const std::function<void(pid_t root)>& on_running) {
  BATON_TRY(const UniqueFd signals, TakeSignals());
  BATON_TRY(const Loaded loaded, Load(request));
  BATON_CHECKED(FailPoint("restore.loaded"));
  if (request.capsule || geteuid() != 0) return RestoreInCapsule(request, loaded, signals.get(), on_running);
  if (!request.path_maps.empty()) {
    return MakeError(ErrorCode::kInvalidArgument, "--map-path needs namespaces of their own: add --capsule");
  }
  return RestoreInPlace(request, loaded, signals.get());
}

// What a detached keeper tells the one who started it: a number, or the text of an error.
constexpr char kRunning = 'R';
constexpr char kFailed = 'F';

// Whoever reads our output to its end must not wait for the keeper's.
void LetGoOfTerminal() {
  const auto null = OpenFile("/dev/null", O_RDWR);
  if (!null) return;
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) dup2(null->get(), fd);
}

[[noreturn]] void BeKeeper(const TreeRestoreRequest& request, int report) {
  setsid();
  bool running = false;
  const auto end = RestoreHere(request, [&](pid_t root) {
    running = true;
    LetGoOfTerminal();
    if (!WriteAll(report, fmt::format("{}{}", kRunning, root))) _exit(1);
    UniqueFd{report};
  });
  if (!running && !end && !WriteAll(report, fmt::format("{}{}", kFailed, end.error().ToString()))) _exit(1);
  _exit(end ? 0 : 1);
}

Result<RestoredTree> DetachKeeper(const TreeRestoreRequest& request) {
  std::array<int, 2> ends{};
  const int piped = pipe2(ends.data(), O_CLOEXEC);
  if (const int error = errno; piped != 0) return ErrnoError(error, "pipe");
  const UniqueFd ours(ends[0]);
  std::optional<UniqueFd> theirs{UniqueFd(ends[1])};
  const pid_t keeper = fork();
  if (const int error = errno; keeper < 0) return ErrnoError(error, "fork");
  if (keeper == 0) BeKeeper(request, theirs->release());
  theirs.reset();
  auto report = ReadFd(ours.get());
  if (!report) return report.Fail("hear from the keeper");
  const char kind = report->empty() ? '\0' : report->front();
  if (kind == kRunning) return RestoredTree{.pid = std::stoi(report->substr(1))};
  waitpid(keeper, nullptr, 0);
  if (kind == kFailed) return MakeError(ErrorCode::kUnavailable, "{}", report->substr(1));
  return MakeError(ErrorCode::kInternal, "the keeper ended before the processes ran");
}

}  // namespace

Result<RestoredTree> RestoreTree(const TreeRestoreRequest& request) {
  TreeRestoreRequest absolute = request;
  if (!request.pid_file.empty()) {
    BATON_TRY(absolute.pid_file, AbsolutePath(request.pid_file));
  }
  if (request.detach && (request.capsule || geteuid() != 0)) return DetachKeeper(absolute);
  return RestoreHere(absolute, [](pid_t) {});
}

}  // namespace baton
