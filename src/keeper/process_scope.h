// Which processes belong together: --scope of `checkpoint --pid`. Processes that a shell, a daemon or a container
// started hang together in four ways, which mostly agree; where they do not, it is said before anything is done.
//
//   tree      the process and all below it
//   session   all in its session (setsid(2)), and all below them
//   pgrp      all in its process group, and all below them
//   cgroup    all in its control group or one below that, and all below them
//
// Children always go with their parents: a process that was restored without one could not wait for it.
//
// Thread-safety: free functions. Errors: kNotFound without such a process; kInvalidArgument for a scope that is none.
#pragma once

#include <sys/types.h>

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace baton {

enum class ProcessScope { kTree, kSession, kGroup, kCgroup };

inline constexpr ProcessScope kAllScopes[] = {ProcessScope::kTree, ProcessScope::kSession, ProcessScope::kGroup,
                                              ProcessScope::kCgroup};

std::string_view ScopeName(ProcessScope scope);
Result<ProcessScope> ParseScope(const std::string& name);

// All processes as they are now, those below included.
Result<std::set<pid_t>> MembersOf(pid_t pid, ProcessScope scope);
// Of these, those whose parents are not among them; first the one that `pid` is, or is below.
std::vector<pid_t> RootsOf(const std::set<pid_t>& members, pid_t pid);

// A process that two scopes disagree on.
struct ScopeDifference {
  pid_t pid = 0;
  std::string name;
  ProcessScope in = ProcessScope::kTree;
  ProcessScope not_in = ProcessScope::kTree;
};

struct ScopeReport {
  struct Scope {
    ProcessScope scope = ProcessScope::kTree;
    std::set<pid_t> members;
    std::string unknown;  // why there is no such scope here; empty: there is
  };
  std::vector<Scope> scopes;
  std::vector<ScopeDifference> differences;  // between `chosen` and each other one, both ways
};

Result<ScopeReport> CompareScopes(pid_t pid, ProcessScope chosen);

// For people: how many each scope has, and a line for each difference.
std::string ScopeText(pid_t pid, ProcessScope chosen, const ScopeReport& report);

}  // namespace baton
