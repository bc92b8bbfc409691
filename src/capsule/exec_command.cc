#include "capsule/exec_command.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "base/unique_fd.h"

namespace baton {
namespace {

std::vector<char*> Pointers(const std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  pointers.reserve(strings.size() + 1);
  for (const std::string& string : strings) pointers.push_back(const_cast<char*>(string.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

[[noreturn]] void ReportAndExit(int report_fd, SpawnStep step, int saved_errno) {
  const SpawnFailure failure{.step = step, .saved_errno = saved_errno};
  // Shorter than PIPE_BUF: written whole or not at all.
  if (write(report_fd, &failure, sizeof(failure)) < 0) _exit(126);
  _exit(127);
}

void DefaultSignals() {
  for (int number = 1; number < NSIG; ++number) signal(number, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
}

[[noreturn]] void Become(const CommandLine& command, int report_fd) {
  std::vector<char*> argv = Pointers(command.argv);
  std::vector<char*> env = Pointers(command.env);
  prctl(PR_SET_PDEATHSIG, 0);
  setsid();
  DefaultSignals();
  // Everything above stderr goes at the exec, the report pipe included: its end of file says that the program runs.
  syscall(SYS_close_range, 3U, ~0U, CLOSE_RANGE_CLOEXEC);
  const int entered = chdir(command.cwd.empty() ? "/" : command.cwd.c_str());
  if (const int error = errno; entered != 0) ReportAndExit(report_fd, SpawnStep::kChdir, error);
  environ = env.data();  // execvp searches PATH of this one
  execvp(argv.front(), argv.data());
  ReportAndExit(report_fd, SpawnStep::kExec, errno);
}

}  // namespace

std::expected<pid_t, SpawnFailure> SpawnCommandProcess(const CommandLine& command) {
  if (command.argv.empty()) return std::unexpected(SpawnFailure{.step = SpawnStep::kRequest, .saved_errno = EINVAL});
  std::array<int, 2> ends{};
  const int piped = pipe2(ends.data(), O_CLOEXEC);
  if (const int error = errno; piped != 0) {
    return std::unexpected(SpawnFailure{.step = SpawnStep::kFork, .saved_errno = error});
  }
  const UniqueFd report(ends[0]);
  const pid_t child = [&] {
    const UniqueFd write_end(ends[1]);
    const pid_t forked = fork();
    if (forked == 0) Become(command, write_end.get());
    return forked;
  }();
  if (const int error = errno; child < 0) {
    return std::unexpected(SpawnFailure{.step = SpawnStep::kFork, .saved_errno = error});
  }
  SpawnFailure failure;
  ssize_t got = 0;
  do {
    got = read(report.get(), &failure, sizeof(failure));
  } while (got < 0 && errno == EINTR);
  if (got == 0) return child;
  waitpid(child, nullptr, 0);
  return std::unexpected(failure);
}

}  // namespace baton
