// Test only: carries out a plan on the model of the kernel and compares.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "tree/kernel_model.h"
#include "tree/plan.h"

namespace baton {

inline std::string Describe(const Tables& tables) {
  return fmt::format("[{} {} {} {}]", tables[kMemory], tables[kActions], tables[kFiles], tables[kDirectories]);
}

inline std::string Describe(const std::vector<TreeNode>& nodes) {
  std::string text;
  for (const TreeNode& node : nodes) {
    text += fmt::format("{{{}, {}, {}, {}, {}, {}, {}, signal {}", node.pid, node.ppid, node.pgid, node.sid,
                        node.zombie, node.subreaper, Describe(node.tables), node.exit_signal);
    for (const TreeThread& thread : node.threads) text += fmt::format(", {} {}", thread.tid, Describe(thread.tables));
    text += "},\n";
  }
  return text;
}

// With tables numbered in the order in which they are met, whoever has them: so that two forests in which the same
// tasks share the same are the same. The threads that share all with the first one are left out.
inline std::vector<TreeNode> Renumbered(std::vector<TreeNode> nodes) {
  std::array<std::map<int, int>, kTables> met;
  int unshared = 0;
  const auto renumber = [&](Tables& tables) {
    for (size_t table = 0; table < kTables; ++table) {
      int& number = met[table][tables[table] == 0 ? --unshared : tables[table]];
      if (number == 0) number = static_cast<int>(met[table].size());
      tables[table] = number;
    }
  };
  for (TreeNode& node : nodes) {
    if (node.zombie) continue;
    renumber(node.tables);
    std::ranges::sort(node.threads, {}, &TreeThread::tid);
    for (TreeThread& thread : node.threads) {
      thread.tables[kMemory] = thread.tables[kActions] = 0;
      renumber(thread.tables);
      thread.tables[kMemory] = thread.tables[kActions] = 0;
    }
  }
  return nodes;
}

inline std::string Describe(const TreePlan& plan) {
  static constexpr const char* kNames[] = {"fork", "setsid", "setpgid", "subreaper",
                                           "exit", "thread", "unshare", "end thread"};
  std::string text;
  for (const TreeStep& step : plan.steps) {
    text += fmt::format("{} {} {}{} by {}{} shares {:#x}\n", kNames[static_cast<int>(step.kind)], step.pid, step.other,
                        step.on ? " on" : "", step.by, step.as_brother ? " (brother)" : "", step.shares);
  }
  return text;
}

inline bool Apply(KernelModel& kernel, const TreeStep& step) {
  switch (step.kind) {
    case TreeStep::Kind::kFork:
      return kernel.Clone(step.by == 0 ? step.other : step.by, step.pid,
                          {step.shares, step.as_brother, step.exit_signal});
    case TreeStep::Kind::kSetSid:
      return kernel.SetSid(step.pid);
    case TreeStep::Kind::kSetPgid:
      return kernel.SetPgid(step.pid, step.other);
    case TreeStep::Kind::kSetSubreaper:
      return kernel.SetSubreaper(step.pid, step.on);
    case TreeStep::Kind::kExit:
      return kernel.Exit(step.pid) && kernel.Reap(step.other, step.pid);
    case TreeStep::Kind::kThread:
      return kernel.CloneThread(step.by == 0 ? step.other : step.by, step.pid, step.shares) &&
             kernel.ProcessOf(step.pid) == step.other;
    case TreeStep::Kind::kUnshare:
      return kernel.Unshare(step.pid, step.shares);
    case TreeStep::Kind::kEndThread:
      return kernel.EndThread(step.pid);
  }
  return false;
}

// Empty if the plan makes exactly these processes.
inline std::string WhatGoesWrong(const TreePlan& plan, std::vector<TreeNode> nodes, const TreeOutside& outside) {
  KernelModel kernel(outside.reaper, outside.session.value_or(outside.reaper), outside.group.value_or(outside.reaper));
  for (const TreeStep& step : plan.steps) {
    if (!Apply(kernel, step)) return fmt::format("refused: {} {}", static_cast<int>(step.kind), step.pid);
  }
  if ((kernel.reaper_adopted() > 0) != plan.reaper_adopts) return "reaper_adopts is wrong";
  for (const TreeNode& node : nodes) {
    if (node.zombie && !kernel.Exit(node.pid)) return fmt::format("zombie {} cannot exit", node.pid);
  }
  std::erase_if(nodes, [&](const TreeNode& node) { return node.zombie && node.ppid == outside.reaper; });
  std::ranges::sort(nodes, {}, &TreeNode::pid);
  const std::string made = Describe(Renumbered(kernel.Nodes()));
  return made == Describe(Renumbered(nodes)) ? ""
                                               ""
                                             : "made instead:\n" + made;
}

}  // namespace baton
