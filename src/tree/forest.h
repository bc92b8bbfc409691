// A process forest checked for contradictions, with indices instead of numbers. Internal to src/tree.
//
// Items: 0 is the outside (the reaper, and leader of the session that new roots are in); 1 to node_count are the nodes
// in the order given; after them one for each session whose leader is dead.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "tree/tree_node.h"

namespace baton {

class Forest {
 public:
  static constexpr size_t kOutside = 0;
  static constexpr size_t kNone = static_cast<size_t>(-1);

  struct Item {
    pid_t pid = 0;
    size_t parent = kNone;   // in the end; kNone: a dead leader, which may be anywhere
    size_t session = kNone;  // its leader; the item itself if it is one
    pid_t group = 0;         // a node's number of it, in the end
  };
  // A group that must be made: not a session leader's own, not the one from outside.
  struct Group {
    size_t leader = kNone;        // the node with its number; kNone: dead
    std::vector<size_t> members;  // in the end; the leader need not be one of them
  };

  // Errors: kCorrupt, see PlanTree.
  static Result<Forest> Check(std::span<const TreeNode> nodes, const TreeOutside& outside);

  const std::vector<Item>& items() const { return items_; }
  const Item& item(size_t i) const { return items_[i]; }
  size_t size() const { return items_.size(); }
  bool IsNode(size_t i) const { return i >= 1 && i <= node_count_; }
  bool IsDead(size_t i) const { return i > node_count_; }
  bool IsLeader(size_t i) const { return items_[i].session == i; }
  const std::map<pid_t, Group>& groups() const { return groups_; }
  // Nodes, parents before children.
  const std::vector<size_t>& top_down() const { return top_down_; }

 private:
  Result<> AddNodes(std::span<const TreeNode> nodes);
  Result<> AddParents(std::span<const TreeNode> nodes);
  Result<> AddSessions(std::span<const TreeNode> nodes);
  Result<> AddGroups(std::span<const TreeNode> nodes);
  Result<> CheckGroup(const TreeNode& node, size_t i) const;
  size_t Find(pid_t pid) const;

  TreeOutside outside_;
  size_t node_count_ = 0;
  std::vector<Item> items_;
  std::map<pid_t, size_t> by_pid_;  // dead leaders too
  std::map<pid_t, Group> groups_;
  std::vector<size_t> top_down_;
};

}  // namespace baton
