#include "worker/launch_keeper.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <vector>

#include "base/file.h"

namespace baton {

// posix_spawn is safe beside other threads; all our descriptors are close-on-exec.
Result<pid_t> LaunchKeeper(const UnitFiles& files) {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  posix_spawn_file_actions_init(&actions);
  posix_spawnattr_init(&attributes);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  const std::string messages = files.messages();
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, messages.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  sigset_t none;
  sigemptyset(&none);
  posix_spawnattr_setsigmask(&attributes, &none);
  // What the daemon ignores must not be ignored in there: an init that ignores SIGCHLD hears of no death.
  sigset_t all;
  sigfillset(&all);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  std::string program = "/proc/self/exe", name = "baton", command = "pool-keeper", directory = files.directory();
  char* const argv[] = {name.data(), command.data(), directory.data(), nullptr};
  pid_t pid = -1;
  const int error = posix_spawn(&pid, program.c_str(), &actions, &attributes, argv, environ);
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  if (error != 0) return ErrnoError(error, "start a keeper");
  return pid;
}

std::string LastLine(const std::string& path) {
  auto text = ReadFile(path);
  if (!text) return "";
  while (!text->empty() && text->back() == '\n') text->pop_back();
  const size_t begin = text->rfind('\n');
  return begin == std::string::npos ? *text : text->substr(begin + 1);
}

}  // namespace baton
