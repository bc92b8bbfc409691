#include "capsule/init.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <optional>
#include <set>
#include <span>
#include <utility>

#include "base/file.h"
#include "capsule/exec_command.h"
#include "capsule/init.pb.h"
#include "capsule/namespaces.h"
#include "capsule/stub.h"

namespace baton {
namespace {

constexpr int kChannelFd = 3;
constexpr int64_t kGraceMs = 5000;  // between SIGTERM and SIGKILL for what outlives the job's root

int64_t NowMs() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000 + now.tv_nsec / 1'000'000;
}

class Init {
 public:
  Init(InitChannel channel, UniqueFd signals) : channel_(std::move(channel)), signals_(std::move(signals)) {}

  [[noreturn]] void Run();

 private:
  void OnCommand(const pb::InitCommand& command);
  void OnSpawnCommand(const pb::InitSpawnCommand& command);
  void OnSpawnStub(const pb::InitSpawnStub& command);
  void OnWatch(const pb::InitWatch& request);
  void OnChannel();
  void Answer(const std::expected<pid_t, SpawnFailure>& spawned);
  void Tell(const pb::InitEvent& event, std::optional<pid_t> about_pid = std::nullopt);
  void Reap();
  void OnExit(pid_t pid, int wait_status);
  void BeginEnd();
  int PollTimeoutMs();

  InitChannel channel_;
  UniqueFd signals_;
  std::set<pid_t> watched_;
  pid_t root_ = 0;
  std::optional<int64_t> kill_at_ms_;  // set once the root has ended
  bool has_children_ = false;
};

void Init::Run() {
  while (true) {
    Reap();
    if (kill_at_ms_ && !has_children_) _exit(0);
    std::array<pollfd, 2> waits{pollfd{.fd = channel_.fd(), .events = POLLIN, .revents = 0},
                                pollfd{.fd = signals_.get(), .events = POLLIN, .revents = 0}};
    const int ready = poll(waits.data(), waits.size(), PollTimeoutMs());
    if (ready == 0 && kill_at_ms_) kill(-1, SIGKILL);
    if (ready <= 0) continue;
    if (waits[1].revents != 0) {
      signalfd_siginfo dropped{};
      const ssize_t got = read(signals_.get(), &dropped, sizeof(dropped));
      if (got < 0) continue;  // only a wake-up; what counts is what Reap finds
    }
    if (waits[0].revents != 0) OnChannel();
  }
}

int Init::PollTimeoutMs() {
  if (!kill_at_ms_) return -1;
  // After the deadline SIGKILL is repeated, since a fork may have slipped through.
  return static_cast<int>(std::max<int64_t>(*kill_at_ms_ - NowMs(), 100));
}

void Init::OnChannel() {
  auto packet = channel_.Receive(/*nonblocking=*/true);
  if (!packet) _exit(0);  // invariant 1
  if (!packet->has_value()) return;
  pb::InitCommand command;
  if (!command.ParseFromString((*packet)->bytes) || command.version() != kInitProtocolVersion) {
    return Answer(std::unexpected(SpawnFailure{.step = SpawnStep::kRequest, .saved_errno = EPROTO}));
  }
  OnCommand(command);
}

void Init::OnCommand(const pb::InitCommand& command) {
  switch (command.command_case()) {
    case pb::InitCommand::kSpawnCommand:
      return OnSpawnCommand(command.spawn_command());
    case pb::InitCommand::kSpawnStub:
      return OnSpawnStub(command.spawn_stub());
    case pb::InitCommand::kSignal:
      // -1 would be everybody: never asked for by number.
      if (command.signal().ns_pid() != -1) kill(command.signal().ns_pid(), command.signal().signal());
      return;
    case pb::InitCommand::kWatch:
      return OnWatch(command.watch());
    case pb::InitCommand::COMMAND_NOT_SET:
      return Answer(std::unexpected(SpawnFailure{.step = SpawnStep::kRequest, .saved_errno = EPROTO}));
  }
}

void Init::OnSpawnCommand(const pb::InitSpawnCommand& request) {
  CommandLine command{.argv = {request.argv().begin(), request.argv().end()},
                      .env = {request.env().begin(), request.env().end()},
                      .cwd = request.cwd()};
  const auto spawned = SpawnCommandProcess(command);
  if (spawned) root_ = *spawned;
  Answer(spawned);
}

void Init::OnSpawnStub(const pb::InitSpawnStub& request) {
  const std::optional<pid_t> wanted = request.ns_pid() == 0 ? std::nullopt : std::optional<pid_t>(request.ns_pid());
  auto stub = SpawnLocalStub(wanted);
  if (stub) return Answer(*stub);
  Answer(std::unexpected(SpawnFailure{.step = SpawnStep::kFork, .saved_errno = stub.error().saved_errno()}));
}

void Init::OnWatch(const pb::InitWatch& request) {
  const bool gone = kill(request.ns_pid(), 0) != 0 && errno == ESRCH;
  if (!gone) watched_.insert(request.ns_pid());
  if (!request.job_root()) return;
  root_ = request.ns_pid();
  if (gone) BeginEnd();  // it ended, and was reaped, before this command was read
}

void Init::Answer(const std::expected<pid_t, SpawnFailure>& spawned) {
  pb::InitEvent event;
  if (!spawned) {
    event.mutable_spawn_failed()->set_step(static_cast<pb::InitSpawnFailed::Step>(spawned.error().step));
    event.mutable_spawn_failed()->set_saved_errno(spawned.error().saved_errno);
    return Tell(event);
  }
  has_children_ = true;
  watched_.insert(*spawned);
  event.mutable_spawned()->set_ns_pid(*spawned);
  Tell(event, *spawned);
}

void Init::Tell(const pb::InitEvent& event, std::optional<pid_t> about_pid) {
  pb::InitEvent versioned = event;
  versioned.set_version(kInitProtocolVersion);
  if (!channel_.Send(versioned, about_pid)) _exit(1);  // no keeper: invariant 1
}

void Init::Reap() {
  while (true) {
    int wait_status = 0;
    const pid_t pid = waitpid(-1, &wait_status, WNOHANG | __WALL);
    const int error = errno;
    if (pid > 0) {
      OnExit(pid, wait_status);
      continue;
    }
    has_children_ = pid == 0 || error != ECHILD;
    return;
  }
}

void Init::OnExit(pid_t pid, int wait_status) {
  if (watched_.erase(pid) > 0) {
    pb::InitEvent event;
    event.mutable_exited()->set_ns_pid(pid);
    event.mutable_exited()->set_wait_status(wait_status);
    Tell(event);
  }
  if (pid == root_) BeginEnd();
}

void Init::BeginEnd() {
  kill_at_ms_ = NowMs() + kGraceMs;
  kill(-1, SIGTERM);
  kill(-1, SIGCONT);  // a stopped process takes SIGTERM only once it goes on
}

// Invariant 2. The descriptors are first copied out of the way, since any of them may be 0..3 itself. The old channel
// is closed with everything else.
Result<InitChannel> ArrangeDescriptors(const CapsuleOptions& options, InitChannel channel) {
  const int channel_fd = std::move(channel).Release().release();
  const std::array<int, 4> wanted{options.stdin_fd, options.stdout_fd, options.stderr_fd, channel_fd};
  constexpr int kOutOfTheWay = 16;
  std::array<int, 4> copies{};
  for (size_t i = 0; i < wanted.size(); ++i) {
    copies.at(i) = fcntl(wanted.at(i), F_DUPFD_CLOEXEC, kOutOfTheWay);
    if (const int error = errno; copies.at(i) < 0) return ErrnoError(error, "dup {}", wanted.at(i));
  }
  for (int i = 0; i <= kChannelFd; ++i) {
    const int placed = dup3(copies.at(static_cast<size_t>(i)), i, i == kChannelFd ? O_CLOEXEC : 0);
    if (const int error = errno; placed < 0) return ErrnoError(error, "dup3 to {}", i);
  }
  syscall(SYS_close_range, kChannelFd + 1U, ~0U, 0U);
  return InitChannel(UniqueFd(kChannelFd));
}

// Invariant 3, and SIGCHLD as something to poll.
Result<UniqueFd> ChildSignals() {
  sigset_t all;
  sigfillset(&all);
  sigprocmask(SIG_SETMASK, &all, nullptr);
  sigset_t child;
  sigemptyset(&child);
  sigaddset(&child, SIGCHLD);
  const int fd = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
  if (const int error = errno; fd < 0) return ErrnoError(error, "signalfd");
  return UniqueFd(fd);
}

// Set after the last change of credentials, which would clear it. The keeper may have died before: then its end of the
// channel is closed. (getppid() is 0 here whether it lives or not: it is outside the pid namespace.)
void DieWithKeeper(int channel_fd) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  pollfd hung_up{.fd = channel_fd, .events = 0, .revents = 0};
  if (poll(&hung_up, 1, 0) != 0) _exit(0);
}

}  // namespace

void RunInit(const CapsuleOptions& options, InitChannel channel) {
  DieWithKeeper(channel.fd());
  prctl(PR_SET_NAME, "baton-init");
  prctl(PR_SET_DUMPABLE, 1);
  setsid();
  if (auto made = MakeMounts(options); !made) {
    ReportSetupFailure(&channel, made.error());
    _exit(1);
  }
  const int at_root = chdir("/");
  auto arranged = ArrangeDescriptors(options, std::move(channel));
  if (at_root != 0 || !arranged) _exit(1);
  auto signals = ChildSignals();
  if (!signals) _exit(1);
  pb::InitEvent ready;
  ready.set_version(kInitProtocolVersion);
  ready.mutable_ready();
  if (!arranged->Send(ready)) _exit(1);
  Init(std::move(*arranged), std::move(*signals)).Run();
}

}  // namespace baton
