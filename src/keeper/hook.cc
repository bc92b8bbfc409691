#include "keeper/hook.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <utility>

#include "base/file.h"
#include "proc/namespace_visit.h"

namespace baton {
namespace {

constexpr int kCannotEnter = 126;
constexpr int kSignalExit = 128;
constexpr int kLate = SIGALRM;  // what the one that waits for the shell dies of, where that has taken too long
constexpr long kSecond = 1'000'000'000;

// All that a child of a process with several threads needs, made before the fork: after it only system calls are safe.
struct Prepared {
  std::array<char*, 4> argv{};
  std::vector<char*> env;
  const char* cwd = nullptr;
  int namespace_fd = -1;
  int namespaces = 0;
  int null = -1;
  timespec deadline{};
};

timespec After(std::chrono::milliseconds limit) {
  timespec at{};
  clock_gettime(CLOCK_MONOTONIC, &at);
  at.tv_sec += limit.count() / 1000;
  at.tv_nsec += limit.count() % 1000 * 1'000'000;
  if (at.tv_nsec >= kSecond) at = {.tv_sec = at.tv_sec + 1, .tv_nsec = at.tv_nsec - kSecond};
  return at;
}

void DefaultSignals() {
  for (int number = 1; number < NSIG; ++number) signal(number, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
}

[[noreturn]] void BeShell(const Prepared& prepared) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  setsid();
  DefaultSignals();
  if (prepared.cwd != nullptr && chdir(prepared.cwd) != 0) _exit(kCannotEnter);
  execve("/bin/sh", prepared.argv.data(), prepared.env.data());
  _exit(kCannotEnter);
}

// Waits for its shell, which nobody else could: its parent must live until it is reaped, or the capsule would wait for
// whoever adopts it. SIGTERM: our own parent is gone.
[[noreturn]] void AwaitShell(pid_t shell, const sigset_t& wanted, timespec deadline) {
  bool late = false;
  for (bool stop = false; !stop;) {
    siginfo_t ended{};
    waitid(P_PID, static_cast<id_t>(shell), &ended, WEXITED | WNOHANG | WNOWAIT);
    if (ended.si_pid != 0) break;
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);
    timespec left{.tv_sec = deadline.tv_sec - now.tv_sec, .tv_nsec = deadline.tv_nsec - now.tv_nsec};
    if (left.tv_nsec < 0) left = {.tv_sec = left.tv_sec - 1, .tv_nsec = left.tv_nsec + kSecond};
    late = left.tv_sec < 0;
    stop = late || sigtimedwait(&wanted, nullptr, &left) == SIGTERM;
    if (stop) kill(shell, SIGKILL);
  }
  // Not after it is reaped: the number might be another's then.
  kill(-shell, SIGKILL);
  int status = 0;
  while (waitpid(shell, &status, 0) < 0 && errno == EINTR) {
  }
  if (late) {
    DefaultSignals();
    kill(getpid(), kLate);
  }
  _exit(WIFSIGNALED(status) ? kSignalExit + WTERMSIG(status) : WEXITSTATUS(status));
}

// A pid namespace is that of one's children only: the shell is a child's child.
[[noreturn]] void BeHook(const Prepared& prepared) {
  dup2(prepared.null, STDIN_FILENO);
  dup2(STDERR_FILENO, STDOUT_FILENO);
  DefaultSignals();
  sigset_t wanted;
  sigemptyset(&wanted);
  sigaddset(&wanted, SIGCHLD);
  sigaddset(&wanted, SIGTERM);
  sigprocmask(SIG_BLOCK, &wanted, nullptr);
  if (prepared.namespaces != 0 && setns(prepared.namespace_fd, prepared.namespaces) != 0) _exit(kCannotEnter);
  prctl(PR_SET_PDEATHSIG, SIGTERM);  // not before: a change of credentials takes it away
  syscall(SYS_close_range, 3U, ~0U, 0U);
  const auto shell = static_cast<pid_t>(syscall(SYS_clone, SIGCHLD, nullptr, nullptr, nullptr, 0UL));
  if (shell < 0) _exit(kCannotEnter);
  if (shell == 0) BeShell(prepared);
  AwaitShell(shell, wanted, prepared.deadline);
}

int NamespacesToEnter(pid_t inside) {
  constexpr std::array<std::pair<const char*, int>, 7> kAll{{{"user", CLONE_NEWUSER},
                                                             {"mnt", CLONE_NEWNS},
                                                             {"pid", CLONE_NEWPID},
                                                             {"ipc", CLONE_NEWIPC},
                                                             {"uts", CLONE_NEWUTS},
                                                             {"net", CLONE_NEWNET},
                                                             {"time", 0x00000080}}};
  int namespaces = 0;
  for (const auto& [name, flag] : kAll) {
    if (!ShareNamespace(inside, getpid(), name)) namespaces |= flag;
  }
  return namespaces;
}

std::string WhatWasWrong(int code) {
  if (code == kCannotEnter) return "exit code 126 (or it could not be started there)";
  if (code > kSignalExit) return fmt::format("ended by signal {}", code - kSignalExit);
  return fmt::format("exit code {}", code);
}

}  // namespace

Result<> RunHook(const Hook& hook) {
  Prepared prepared;
  std::string shell = "sh";
  std::string flag = "-c";
  std::string command = hook.command;
  std::vector<std::string> environment = hook.env;
  environment.push_back("BATON_HOOK=" + hook.name);
  prepared.argv = {shell.data(), flag.data(), command.data(), nullptr};
  for (std::string& entry : environment) prepared.env.push_back(entry.data());
  prepared.env.push_back(nullptr);
  if (!hook.cwd.empty()) prepared.cwd = hook.cwd.c_str();
  BATON_TRY(const UniqueFd null, OpenFile("/dev/null", O_RDWR));
  prepared.null = null.get();
  std::optional<UniqueFd> pidfd;
  if (hook.inside) {
    BATON_TRY(UniqueFd opened, OpenPidFd(*hook.inside));
    pidfd.emplace(std::move(opened));
    prepared.namespace_fd = pidfd->get();
    prepared.namespaces = NamespacesToEnter(*hook.inside);
  }
  prepared.deadline = After(hook.limit);
  const pid_t child = fork();
  if (const int error = errno; child < 0) return ErrnoError(error, "fork");
  if (child == 0) BeHook(prepared);
  int status = 0;
  pid_t reaped = 0;
  do {
    reaped = waitpid(child, &status, 0);
  } while (reaped < 0 && errno == EINTR);
  if (const int error = errno; reaped < 0) return ErrnoError(error, "wait for the {} hook", hook.name);
  if (WIFSIGNALED(status) && WTERMSIG(status) == kLate) {
    return MakeError(ErrorCode::kUnavailable, "the {} hook has not ended within {} ms: `{}`", hook.name,
                     hook.limit.count(), hook.command);
  }
  const int code = WIFSIGNALED(status) ? kSignalExit + WTERMSIG(status) : WEXITSTATUS(status);
  if (code == 0) return {};
  return MakeError(ErrorCode::kUnavailable, "the {} hook failed, {}: `{}`", hook.name, WhatWasWrong(code),
                   hook.command);
}

std::chrono::milliseconds HookLimit(const pb::JobHooks& hooks) {
  return hooks.limit_ms() == 0 ? std::chrono::milliseconds(kHookLimit) : std::chrono::milliseconds(hooks.limit_ms());
}

Result<> RunTreeHook(const TreeHook& hook, const HookChanges& hooks) {
  Hook whole{.name = hook.name, .command = hook.command, .inside = hook.inside};
  for (char** entry = environ; *entry != nullptr; ++entry) whole.env.emplace_back(*entry);
  whole.env.push_back(fmt::format("BATON_PID={}", hook.pid));
  if (!hook.outcome.empty()) whole.env.push_back("BATON_OUTCOME=" + hook.outcome);
  if (hooks.limit_ms) whole.limit = std::chrono::milliseconds(*hooks.limit_ms);
  return RunHook(whole);
}

Result<int> ParseSignal(const std::string& text) {
  const std::string name = text.starts_with("SIG") ? text.substr(3) : text;
  int number = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
  const bool is_number = error == std::errc() && end == name.data() + name.size();
  if (!is_number) number = 0;
  for (int known = 1; !is_number && known < NSIG; ++known) {
    const char* const abbreviation = sigabbrev_np(known);
    if (abbreviation != nullptr && name == abbreviation) number = known;
  }
  if (number > 0 && number < NSIG && number != SIGKILL && number != SIGSTOP) return number;
  return MakeError(ErrorCode::kInvalidArgument, "'{}' is no signal that a program can handle", text);
}

}  // namespace baton
