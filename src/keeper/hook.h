// Hooks: commands of the user's that are run before and after a checkpoint and at a resume.
//
// A hook is run by /bin/sh, inside the namespaces of the job it is for, as a process of its own that is no part of the
// job: it sees the job's files and processes, has no more rights than the job, and is not saved. What it starts in the
// background is ended with it, unless it leaves the hook's session: then it belongs to the job. Its output goes to our
// stderr, its input is empty.
//
// Thread-safety: from any thread; it ends with the thread that runs it. Blocks. Errors: kUnavailable if it failed or
// took too long, with what it was; kTaskGone if the job has ended.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "keeper/job_spec.pb.h"
#include "keeper/run_request.h"

namespace baton {

inline constexpr std::chrono::seconds kHookLimit(30);

struct Hook {
  std::string name;     // "before", "after", "resume": BATON_HOOK
  std::string command;  // for /bin/sh -c
  std::vector<std::string> env = {};
  std::string cwd = {};  // empty: ours, or "/" where `inside` is
  // A process in whose namespaces it runs; none: in ours.
  std::optional<pid_t> inside = {};
  std::chrono::milliseconds limit = kHookLimit;
};

// Returns when it has ended, with success if its exit code was 0.
Result<> RunHook(const Hook& hook);

// What takes a checkpoint up for how long at most.
std::chrono::milliseconds HookLimit(const pb::JobHooks& hooks);

// A hook for processes that have no keeper: `checkpoint --pid` and `restore`.
struct TreeHook {
  std::string name;
  std::string command;
  std::string outcome;  // BATON_OUTCOME, if not empty
  pid_t pid = 0;        // BATON_PID: the first process, as the hook sees it
  std::optional<pid_t> inside = {};
};

// With our environment; in our directory, unless it is `inside`.
Result<> RunTreeHook(const TreeHook& hook, const HookChanges& hooks);

// "USR1", "SIGUSR1" or a number, of a signal that a program can handle. kInvalidArgument otherwise.
Result<int> ParseSignal(const std::string& text);

}  // namespace baton
