#include "tree/forest.h"

#include <optional>

namespace baton {
namespace {

Result<> CheckNumbers(const TreeNode& node, const TreeOutside& outside) {
  if (node.pid <= 0 || node.ppid < 0 || node.pgid < 0 || node.sid < 0) {
    return MakeError(ErrorCode::kCorrupt, "process {}: parent {}, group {}, session {}", node.pid, node.ppid, node.pgid,
                     node.sid);
  }
  if (node.pid == outside.reaper) {
    return MakeError(ErrorCode::kNotSupported,
                     "process {} has the number of the process that adopts orphans where the unit is restored",
                     node.pid);
  }
  if (node.pid == outside.session || node.pid == outside.group) {
    return MakeError(ErrorCode::kCorrupt, "process {} is in the unit, its session or group is said to be outside",
                     node.pid);
  }
  if (node.sid == node.pid && node.pgid != node.pid) {
    return MakeError(ErrorCode::kCorrupt, "process {} leads its session, but is in group {}", node.pid, node.pgid);
  }
  return {};
}

}  // namespace

Result<Forest> Forest::Check(std::span<const TreeNode> nodes, const TreeOutside& outside) {
  Forest forest;
  forest.outside_ = outside;
  forest.node_count_ = nodes.size();
  for (const TreeNode& node : nodes) BATON_CHECKED(CheckNumbers(node, outside));
  BATON_CHECKED(forest.AddNodes(nodes));
  BATON_CHECKED(forest.AddParents(nodes));
  BATON_CHECKED(forest.AddSessions(nodes));
  BATON_CHECKED(forest.AddGroups(nodes));
  return forest;
}

size_t Forest::Find(pid_t pid) const {
  const auto found = by_pid_.find(pid);
  return found == by_pid_.end() ? kNone : found->second;
}

Result<> Forest::AddNodes(std::span<const TreeNode> nodes) {
  items_.push_back({outside_.reaper, kNone, kOutside});
  for (const TreeNode& node : nodes) {
    if (!by_pid_.emplace(node.pid, items_.size()).second) {
      return MakeError(ErrorCode::kCorrupt, "there are two processes {}", node.pid);
    }
    items_.push_back({node.pid, kNone, kNone});
  }
  return {};
}

Result<> Forest::AddParents(std::span<const TreeNode> nodes) {
  std::vector<std::vector<size_t>> children(items_.size());
  for (size_t i = 1; i < items_.size(); ++i) {
    const TreeNode& node = nodes[i - 1];
    const size_t parent = node.ppid == outside_.reaper ? kOutside : Find(node.ppid);
    if (parent == kNone) {
      return MakeError(ErrorCode::kCorrupt, "process {}: there is no parent {}", node.pid, node.ppid);
    }
    if (parent != kOutside && nodes[parent - 1].zombie) {
      return MakeError(ErrorCode::kCorrupt, "process {}: its parent {} is dead", node.pid, node.ppid);
    }
    items_[i].parent = parent;
    children[parent].push_back(i);
  }
  top_down_ = children[kOutside];
  for (size_t next = 0; next < top_down_.size(); ++next) {
    const std::vector<size_t>& more = children[top_down_[next]];
    top_down_.insert(top_down_.end(), more.begin(), more.end());
  }
  if (top_down_.size() == node_count_) return {};
  std::vector<bool> reached(items_.size());
  for (const size_t i : top_down_) reached[i] = true;
  size_t lost = 1;
  while (reached[lost]) ++lost;
  return MakeError(ErrorCode::kCorrupt, "process {} is its own ancestor, or a descendant of one that is",
                   items_[lost].pid);
}

Result<> Forest::AddSessions(std::span<const TreeNode> nodes) {
  for (size_t i = 1; i <= node_count_; ++i) {
    const TreeNode& node = nodes[i - 1];
    if (node.sid == outside_.session) {
      items_[i].session = kOutside;
      continue;
    }
    const auto [leader, dead] = by_pid_.try_emplace(node.sid, items_.size());
    if (dead) {
      if (node.sid == 0 || node.sid == outside_.reaper || node.sid == outside_.group) {
        return MakeError(ErrorCode::kNotSupported,
                         "process {} is in session {}: outside the unit, and not the one of its roots", node.pid,
                         node.sid);
      }
      items_.push_back({node.sid, kNone, items_.size()});
    } else if (IsNode(leader->second) && nodes[leader->second - 1].sid != node.sid) {
      return MakeError(ErrorCode::kCorrupt, "process {} is in session {}, but process {} is not its leader", node.pid,
                       node.sid, node.sid);
    }
    items_[i].session = leader->second;
  }
  return {};
}

Result<> Forest::AddGroups(std::span<const TreeNode> nodes) {
  for (size_t i = 1; i <= node_count_; ++i) {
    const TreeNode& node = nodes[i - 1];
    items_[i].group = node.pgid;
    BATON_CHECKED(CheckGroup(node, i));
    const bool inherited = items_[i].session == kOutside ? node.pgid == outside_.group : node.pgid == node.sid;
    if (inherited) continue;
    Group& group = groups_[node.pgid];
    group.leader = Find(node.pgid);
    group.members.push_back(i);
    const size_t first = group.members.front();
    if (items_[first].session != items_[i].session) {
      return MakeError(ErrorCode::kCorrupt, "processes {} and {} are in group {}, but in different sessions",
                       items_[first].pid, node.pid, node.pgid);
    }
  }
  return {};
}

// A group's number is that of its session's leader, of another process of the session, or of one that is dead.
Result<> Forest::CheckGroup(const TreeNode& node, size_t i) const {
  const auto contradiction = [&node] {
    return MakeError(ErrorCode::kCorrupt, "process {} cannot be in both session {} and group {}", node.pid, node.sid,
                     node.pgid);
  };
  const size_t session = items_[i].session;
  if (node.pgid == outside_.group) {
    if (session != kOutside) return contradiction();
    return {};
  }
  if (node.pgid == 0 || node.pgid == outside_.reaper || node.pgid == outside_.session) {
    return MakeError(ErrorCode::kNotSupported,
                     "process {} is in group {}: outside the unit, and not the one of its roots", node.pid, node.pgid);
  }
  const size_t leader = Find(node.pgid);
  if (leader != kNone && items_[leader].session != session) return contradiction();
  return {};
}

}  // namespace baton
