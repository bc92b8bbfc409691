// Starting a command as a new process: its own session, default signals, descriptors 0, 1, 2 and no others.
//
// Thread-safety: REQUIRES a single-threaded process (fork, then C++ code in the child).
#pragma once

#include <sys/types.h>

#include <expected>
#include <string>
#include <vector>

namespace baton {

struct CommandLine {
  std::vector<std::string> argv;  // at least the program
  std::vector<std::string> env;   // NAME=VALUE
  std::string cwd;                // empty: "/"
};

// The step that failed; the numbers are those of InitSpawnFailed.Step.
enum class SpawnStep : int { kRequest = 0, kFork = 1, kChdir = 2, kExec = 3 };

struct SpawnFailure {
  SpawnStep step = SpawnStep::kRequest;
  int saved_errno = 0;
};

// Forks and executes; returns the child once the program runs in it, or why it does not (the child is reaped then). The
// program is searched in PATH of `env`. Blocks until execve(2) has succeeded or failed.
std::expected<pid_t, SpawnFailure> SpawnCommandProcess(const CommandLine& command);

}  // namespace baton
