#include "capsule/capsule.h"

#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "base/file.h"
#include "base/log.h"
#include "capsule/init.h"
#include "capsule/init.pb.h"
#include "capsule/namespaces.h"
#include "capsule/setup_error.h"

namespace baton {
namespace {

// The helper: makes the namespaces, forks init as a child of the *keeper* (CLONE_PARENT), and ends. The keeper itself
// stays in its own namespaces and so keeps its rights over them.
[[noreturn]] void RunHelper(const CapsuleOptions& options, InitChannel channel) {
  if (auto entered = EnterNamespaces(options); !entered) {
    ReportSetupFailure(&channel, entered.error());
    _exit(1);
  }
  // Not fork(), which cannot do CLONE_PARENT. The exit signal is the helper's own, SIGCHLD.
  const auto init_pid = static_cast<pid_t>(syscall(SYS_clone, CLONE_PARENT | SIGCHLD, nullptr, nullptr, nullptr, 0UL));
  const int error = errno;
  if (init_pid == 0) RunInit(options, std::move(channel));
  if (init_pid < 0) {
    ReportSetupFailure(&channel, {.step = SetupStep::kForkInit, .saved_errno = error, .detail = ""});
    _exit(1);
  }
  pb::InitEvent event;
  event.set_version(kInitProtocolVersion);
  event.mutable_forked()->set_host_pid(init_pid);
  _exit(channel.Send(event) ? 0 : 1);
}

struct Birth {
  std::optional<pid_t> init_pid;
  bool ready = false;
  std::optional<SetupFailure> failure;
};

// Reads until init is ready, or until both processes have closed their ends.
Result<Birth> AwaitBirth(InitChannel* channel) {
  Birth birth;
  while (!birth.ready || !birth.init_pid) {
    auto packet = channel->Receive(/*nonblocking=*/false);
    if (!packet && packet.error().code() == ErrorCode::kUnavailable) break;
    if (!packet) return packet.Fail();
    pb::InitEvent event;
    if (!event.ParseFromString((*packet)->bytes) || event.version() != kInitProtocolVersion) {
      return MakeError(ErrorCode::kInternal, "the capsule's init speaks another protocol");
    }
    if (event.has_forked()) birth.init_pid = event.forked().host_pid();
    if (event.has_ready()) birth.ready = true;
    if (event.has_setup_failed()) {
      birth.failure = SetupFailure{.step = static_cast<SetupStep>(event.setup_failed().step()),
                                   .saved_errno = event.setup_failed().saved_errno(),
                                   .detail = event.setup_failed().detail()};
    }
  }
  return birth;
}

void WaitFor(pid_t child) {
  while (waitpid(child, nullptr, __WALL) < 0 && errno == EINTR) {
  }
}

void RemoveDirectories(const std::vector<std::string>& made) {
  for (auto directory = made.rbegin(); directory != made.rend(); ++directory) rmdir(directory->c_str());
}

// mkdir -p; appends what was missing, outermost first.
Result<> MakeMissing(const std::string& path, std::vector<std::string>* made) {
  for (size_t end = path.find('/', 1);; end = path.find('/', end + 1)) {
    const std::string part = path.substr(0, end);
    const int created = mkdir(part.c_str(), 0755);
    const int error = errno;
    if (created == 0) made->push_back(part);
    if (created != 0 && error != EEXIST) return ErrnoError(error, "make directory {}", part);
    if (end == std::string::npos) return {};
  }
}

// Mount points outside the private /tmp are made here and not by init, so that somebody is left to remove them.
Result<std::vector<std::string>> MakeMountPoints(const CapsuleOptions& options) {
  std::vector<std::string> made;
  for (const CapsuleBind& bind : options.binds) {
    if (!bind.to.starts_with('/')) return MakeError(ErrorCode::kInvalidArgument, "bind target {} is relative", bind.to);
    if (options.private_tmp && bind.to.starts_with("/tmp/")) continue;
    struct stat status{};
    if (stat(bind.to.c_str(), &status) == 0) continue;
    auto point = MakeMissing(bind.to, &made);
    if (point) continue;
    RemoveDirectories(made);
    return ExplainSetupFailure({.step = SetupStep::kBind,
                                .saved_errno = point.error().saved_errno(),
                                .detail = bind.to,
                                .user_namespace = options.user_namespace});
  }
  return made;
}

Result<pid_t> GiveBirth(const CapsuleOptions& options, InitChannel* channel, InitChannel theirs) {
  const pid_t helper = fork();
  if (const int error = errno; helper < 0) return ErrnoError(error, "fork");
  if (helper == 0) {
    // Were the keeper's end open in init, init would never see it closed.
    {
      const UniqueFd closed_here = std::move(*channel).Release();
    }
    RunHelper(options, std::move(theirs));
  }
  {
    const UniqueFd closed_here = std::move(theirs).Release();
  }
  auto birth = AwaitBirth(channel);
  WaitFor(helper);
  if (birth && birth->ready && birth->init_pid) return *birth->init_pid;
  if (birth && birth->init_pid) {
    kill(*birth->init_pid, SIGKILL);
    WaitFor(*birth->init_pid);
  }
  if (!birth) return birth.Fail();
  if (!birth->failure) return MakeError(ErrorCode::kInternal, "the capsule's init ended while it was being set up");
  birth->failure->user_namespace = options.user_namespace;
  return ExplainSetupFailure(*birth->failure);
}

}  // namespace

Capsule::Capsule(InitChannel channel, pid_t init_pid, std::vector<std::string> made_directories)
    : channel_(std::move(channel)), init_pid_(init_pid), made_directories_(std::move(made_directories)) {}

Capsule::Capsule(Capsule&& other) noexcept
    : channel_(std::move(other.channel_)),
      init_pid_(std::exchange(other.init_pid_, 0)),
      root_ns_pid_(other.root_ns_pid_),
      events_(std::move(other.events_)),
      init_gone_(other.init_gone_),
      made_directories_(std::exchange(other.made_directories_, {})) {}

Capsule::~Capsule() {
  const auto killed = Kill();
  if (!killed) BATON_LOG(kError, "{}", killed.error().ToString());
  RemoveDirectories(made_directories_);
}

Result<Capsule> Capsule::Create(const CapsuleOptions& options) {
  BATON_TRY(auto ends, InitChannel::Pair());
  BATON_TRY(auto made, MakeMountPoints(options));
  auto init_pid = GiveBirth(options, &ends.first, std::move(ends.second));
  if (!init_pid) {
    RemoveDirectories(made);
    return init_pid.Fail();
  }
  return Capsule(std::move(ends.first), *init_pid, std::move(made));
}

Result<> Capsule::Send(pb::InitCommand command) {
  command.set_version(kInitProtocolVersion);
  auto sent = channel_->Send(command);
  if (!sent && sent.error().saved_errno() == EPIPE) {
    return MakeError(ErrorCode::kUnavailable, "the capsule's init (pid {}) is gone", init_pid_);
  }
  return sent;
}

Result<std::optional<CapsuleEvent>> Capsule::Receive(bool nonblocking, std::optional<InitChannel::Received>* answer) {
  auto packet = channel_->Receive(nonblocking);
  if (!packet && packet.error().code() == ErrorCode::kUnavailable) {
    init_gone_ = true;
    return CapsuleEvent{.kind = CapsuleEvent::Kind::kInitGone};
  }
  if (!packet) return packet.Fail();
  if (!packet->has_value()) return std::nullopt;
  pb::InitEvent event;
  if (!event.ParseFromString((*packet)->bytes) || event.version() != kInitProtocolVersion) {
    return MakeError(ErrorCode::kInternal, "the capsule's init speaks another protocol");
  }
  if (event.has_exited()) {
    return CapsuleEvent{.kind = CapsuleEvent::Kind::kExited,
                        .ns_pid = event.exited().ns_pid(),
                        .wait_status = event.exited().wait_status()};
  }
  if (answer == nullptr) return MakeError(ErrorCode::kInternal, "the capsule's init answered what was not asked");
  *answer = std::move(**packet);
  return std::nullopt;
}

Result<std::optional<CapsuleEvent>> Capsule::NextEvent() {
  if (!events_.empty()) {
    const CapsuleEvent event = events_.front();
    events_.pop_front();
    return event;
  }
  if (init_gone_) return std::nullopt;
  return Receive(/*nonblocking=*/true, nullptr);
}

Result<CapsulePid> Capsule::Spawn(const pb::InitCommand& command, const std::string& what) {
  BATON_CHECKED(Send(command));
  std::optional<InitChannel::Received> answer;
  while (!answer) {
    BATON_TRY(const auto event, Receive(/*nonblocking=*/false, &answer));
    if (event) events_.push_back(*event);
    if (init_gone_) return MakeError(ErrorCode::kUnavailable, "{}: the capsule's init is gone", what);
  }
  pb::InitEvent event;
  event.ParseFromString(answer->bytes);
  if (event.has_spawned()) return CapsulePid{.host_pid = answer->pid, .ns_pid = event.spawned().ns_pid()};
  const int error = event.spawn_failed().saved_errno();
  switch (event.spawn_failed().step()) {
    case pb::InitSpawnFailed::EXEC:
      if (error == ENOENT || error == ENOTDIR) return Error(ErrorCode::kNotFound, error, what);
      return Error(ErrorCode::kNotSupported, error, what);
    case pb::InitSpawnFailed::CHDIR:
      return Error(ErrorCode::kIo, error, what + ": enter its working directory");
    case pb::InitSpawnFailed::FORK:
      return ErrnoError(error, "{}: make the process", what);
    default:
      return Error(ErrorCode::kInternal, error, what + ": refused by the capsule's init");
  }
}

Result<CapsulePid> Capsule::SpawnCommand(const CommandLine& command) {
  if (command.argv.empty()) return MakeError(ErrorCode::kInvalidArgument, "no command given");
  pb::InitCommand request;
  auto* spawn = request.mutable_spawn_command();
  spawn->mutable_argv()->Assign(command.argv.begin(), command.argv.end());
  spawn->mutable_env()->Assign(command.env.begin(), command.env.end());
  spawn->set_cwd(command.cwd);
  BATON_TRY(const CapsulePid root, Spawn(request, fmt::format("run {}", command.argv.front())));
  root_ns_pid_ = root.ns_pid;
  return root;
}

Result<CapsulePid> Capsule::SpawnStub(std::optional<pid_t> ns_pid) {
  pb::InitCommand request;
  request.mutable_spawn_stub()->set_ns_pid(ns_pid.value_or(0));
  return Spawn(request, ns_pid ? fmt::format("make process {}", *ns_pid) : "make a process");
}

Result<> Capsule::WatchRoot(pid_t ns_pid) {
  pb::InitCommand request;
  request.mutable_watch()->set_ns_pid(ns_pid);
  request.mutable_watch()->set_job_root(true);
  BATON_CHECKED(Send(request));
  root_ns_pid_ = ns_pid;
  return {};
}

Result<> Capsule::SignalJob(int signal) {
  if (root_ns_pid_ == 0) return MakeError(ErrorCode::kNotFound, "the capsule has no job yet");
  pb::InitCommand request;
  request.mutable_signal()->set_ns_pid(-root_ns_pid_);
  request.mutable_signal()->set_signal(signal);
  return Send(request);
}

Result<> Capsule::Kill() {
  if (init_pid_ == 0) return {};
  const pid_t init_pid = std::exchange(init_pid_, 0);
  kill(init_pid, SIGKILL);
  const int pidfd = static_cast<int>(syscall(SYS_pidfd_open, init_pid, 0U));
  if (pidfd >= 0) {
    const UniqueFd owned(pidfd);
    pollfd ended{.fd = pidfd, .events = POLLIN, .revents = 0};
    constexpr int kPatienceMs = 2000;
    // Should somebody have left traced processes unreaped, the namespace cannot end: reap them here.
    while (poll(&ended, 1, kPatienceMs) == 0) {
      while (waitpid(-1, nullptr, WNOHANG | __WALL) > 0) {
      }
    }
  }
  WaitFor(init_pid);
  return {};
}

}  // namespace baton
