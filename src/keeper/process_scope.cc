#include "keeper/process_scope.h"

#include <algorithm>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <utility>

#include "proc/process_files.h"

namespace baton {
namespace {

struct Process {
  pid_t parent = 0;
  pid_t session = 0;
  pid_t group = 0;
};
using Processes = std::map<pid_t, Process>;

Processes ListAll() {
  Processes all;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", error)) {
    const std::string name = entry.path().filename().string();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    const pid_t pid = std::stoi(name);
    const auto stat = ReadStat(pid);  // it may have ended meanwhile
    if (stat) all[pid] = {.parent = stat->ppid, .session = stat->session, .group = stat->pgrp};
  }
  return all;
}

void AddBelow(const Processes& all, std::set<pid_t>* members) {
  std::multimap<pid_t, pid_t> children;
  for (const auto& [pid, process] : all) children.emplace(process.parent, pid);
  std::vector<pid_t> to_visit(members->begin(), members->end());
  while (!to_visit.empty()) {
    const auto [begin, end] = children.equal_range(to_visit.back());
    to_visit.pop_back();
    for (auto child = begin; child != end; ++child) {
      if (members->insert(child->second).second) to_visit.push_back(child->second);
    }
  }
}

// The hierarchy that says most: version 2 where it is used, else the first in which the process is not at the root.
Result<std::pair<int, std::string>> GroupOf(pid_t pid) {
  BATON_TRY(const std::vector<ProcCgroup> groups, ReadCgroup(pid));
  const ProcCgroup* best = nullptr;
  for (const ProcCgroup& group : groups) {
    if (group.path != "/" && (best == nullptr || group.hierarchy_id == 0)) best = &group;
  }
  if (best != nullptr) return std::pair(best->hierarchy_id, best->path);
  return MakeError(ErrorCode::kInvalidArgument,
                   "process {} is in the root of its control groups, with all that belongs to no other", pid);
}

bool IsInGroup(pid_t pid, const std::pair<int, std::string>& group) {
  const auto groups = ReadCgroup(pid);
  if (!groups) return false;
  return std::ranges::any_of(*groups, [&](const ProcCgroup& other) {
    return other.hierarchy_id == group.first &&
           (other.path == group.second || other.path.starts_with(group.second + "/"));
  });
}

Result<> CheckLeader(pid_t leader, pid_t pid, const char* what) {
  if (leader != 0) return {};
  return MakeError(ErrorCode::kInvalidArgument, "the {} of process {} is led from another pid namespace", what, pid);
}

Result<std::set<pid_t>> Members(const Processes& all, pid_t pid, ProcessScope scope) {
  const auto found = all.find(pid);
  if (found == all.end()) return MakeError(ErrorCode::kNotFound, "there is no process {}", pid);
  const Process& process = found->second;
  std::set<pid_t> members{pid};
  const auto add = [&](const std::function<bool(pid_t, const Process&)>& belongs) {
    for (const auto& [other, facts] : all) {
      if (belongs(other, facts)) members.insert(other);
    }
  };
  switch (scope) {
    case ProcessScope::kTree:
      break;
    case ProcessScope::kSession:
      BATON_CHECKED(CheckLeader(process.session, pid, "session"));
      add([&](pid_t, const Process& other) { return other.session == process.session; });
      break;
    case ProcessScope::kGroup:
      BATON_CHECKED(CheckLeader(process.group, pid, "process group"));
      add([&](pid_t, const Process& other) { return other.group == process.group; });
      break;
    case ProcessScope::kCgroup: {
      BATON_TRY(const auto group, GroupOf(pid));
      add([&](pid_t other, const Process&) { return IsInGroup(other, group); });
      break;
    }
  }
  AddBelow(all, &members);
  return members;
}

void AddDifferences(const ScopeReport::Scope& in, const ScopeReport::Scope& not_in,
                    std::vector<ScopeDifference>* differences) {
  for (const pid_t pid : in.members) {
    if (not_in.members.contains(pid)) continue;
    differences->push_back({.pid = pid, .name = ReadComm(pid).value_or("?"), .in = in.scope, .not_in = not_in.scope});
  }
}

}  // namespace

std::string_view ScopeName(ProcessScope scope) {
  switch (scope) {
    case ProcessScope::kTree:
      return "tree";
    case ProcessScope::kSession:
      return "session";
    case ProcessScope::kGroup:
      return "pgrp";
    case ProcessScope::kCgroup:
      return "cgroup";
  }
  return "?";
}

Result<ProcessScope> ParseScope(const std::string& name) {
  for (const ProcessScope scope : kAllScopes) {
    if (ScopeName(scope) == name) return scope;
  }
  return MakeError(ErrorCode::kInvalidArgument, "there is no scope '{}': tree, session, pgrp, cgroup", name);
}

Result<std::set<pid_t>> MembersOf(pid_t pid, ProcessScope scope) { return Members(ListAll(), pid, scope); }

std::vector<pid_t> RootsOf(const std::set<pid_t>& members, pid_t pid) {
  std::vector<pid_t> roots;
  std::map<pid_t, pid_t> parents;
  for (const pid_t member : members) {
    const auto stat = ReadStat(member);
    if (!stat) continue;  // it ended meanwhile
    parents[member] = stat->ppid;
    if (!members.contains(stat->ppid)) roots.push_back(member);
  }
  pid_t first = pid;
  while (parents.contains(first) && members.contains(parents.at(first))) first = parents.at(first);
  std::ranges::stable_partition(roots, [first](pid_t root) { return root == first; });
  return roots;
}

Result<ScopeReport> CompareScopes(pid_t pid, ProcessScope chosen) {
  const Processes all = ListAll();
  ScopeReport report;
  for (const ProcessScope scope : kAllScopes) {
    auto members = Members(all, pid, scope);
    if (!members && (scope == chosen || members.error().code() == ErrorCode::kNotFound)) return members.Fail();
    if (members) {
      report.scopes.push_back({.scope = scope, .members = std::move(*members), .unknown = {}});
    } else {
      report.scopes.push_back({.scope = scope, .members = {}, .unknown = members.error().ToString()});
    }
  }
  const ScopeReport::Scope& ours = report.scopes.at(static_cast<size_t>(chosen));
  for (const ScopeReport::Scope& other : report.scopes) {
    if (other.scope == chosen || !other.unknown.empty()) continue;
    AddDifferences(ours, other, &report.differences);
    AddDifferences(other, ours, &report.differences);
  }
  return report;
}

std::string ScopeText(pid_t pid, ProcessScope chosen, const ScopeReport& report) {
  std::string text = fmt::format("scopes of process {}:", pid);
  for (const ScopeReport::Scope& scope : report.scopes) {
    text += fmt::format(" {} {}", ScopeName(scope.scope),
                        scope.unknown.empty() ? std::to_string(scope.members.size()) : "none");
  }
  text += fmt::format(" (chosen: {})\n", ScopeName(chosen));
  for (const ScopeDifference& difference : report.differences) {
    text += fmt::format("  {} ({}) is in {}, not in {}\n", difference.pid, difference.name, ScopeName(difference.in),
                        ScopeName(difference.not_in));
  }
  return text;
}

}  // namespace baton
