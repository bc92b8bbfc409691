// Test only: carries out a plan on the model of the kernel and compares.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "tree/kernel_model.h"
#include "tree/plan.h"

namespace baton {

inline std::string Describe(const std::vector<TreeNode>& nodes) {
  std::string text;
  for (const TreeNode& node : nodes) {
    text += fmt::format("{{{}, {}, {}, {}, {}, {}}},\n", node.pid, node.ppid, node.pgid, node.sid, node.zombie,
                        node.subreaper);
  }
  return text;
}

inline std::string Describe(const TreePlan& plan) {
  static constexpr const char* kNames[] = {"fork", "setsid", "setpgid", "subreaper", "exit"};
  std::string text;
  for (const TreeStep& step : plan.steps) {
    text +=
        fmt::format("{} {} {}{}\n", kNames[static_cast<int>(step.kind)], step.pid, step.other, step.on ? " on" : "");
  }
  return text;
}

inline bool Apply(KernelModel& kernel, const TreeStep& step) {
  switch (step.kind) {
    case TreeStep::Kind::kFork:
      return kernel.Fork(step.other, step.pid);
    case TreeStep::Kind::kSetSid:
      return kernel.SetSid(step.pid);
    case TreeStep::Kind::kSetPgid:
      return kernel.SetPgid(step.pid, step.other);
    case TreeStep::Kind::kSetSubreaper:
      return kernel.SetSubreaper(step.pid, step.on);
    case TreeStep::Kind::kExit:
      return kernel.Exit(step.pid) && kernel.Reap(step.other, step.pid);
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
  const std::string made = Describe(kernel.Nodes());
  return made == Describe(nodes) ? "" : "made instead:\n" + made;
}

}  // namespace baton
