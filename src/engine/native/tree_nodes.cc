#include "engine/native/tree_nodes.h"

#include <csignal>
#include <set>

namespace baton {
namespace {

Tables TablesOf(const pb::ProcessRecord& process) {
  Tables tables{};
  tables[kMemory] = static_cast<int>(process.memory_table());
  tables[kActions] = static_cast<int>(process.actions_table());
  tables[kFiles] = static_cast<int>(process.files_table());
  tables[kDirectories] = static_cast<int>(process.directories_table());
  return tables;
}

std::vector<TreeThread> ApartThreadsOf(const pb::ProcessRecord& process) {
  std::vector<TreeThread> threads;
  for (const pb::ApartThreadRecord& thread : process.apart_threads()) {
    TreeThread made{.tid = thread.tid()};
    made.tables[kFiles] = static_cast<int>(thread.files_table());
    made.tables[kDirectories] = static_cast<int>(thread.directories_table());
    threads.push_back(made);
  }
  return threads;
}

}  // namespace

// A session or group that is led from outside the unit is the first process's, see NativeCapture::CheckRelations. One
// of another process that has no living leader was led by a process that is dead.
TreeOutside OutsideOf(const pb::UnitRecord& unit, std::span<const pb::ProcessRecord> processes, pid_t reaper) {
  TreeOutside outside{.reaper = reaper, .session = {}, .group = {}};
  std::set<pid_t> inside;
  const pb::ProcessRecord* root = nullptr;
  for (const pb::ProcessRecord& process : processes) {
    inside.insert(process.pid());
    if (process.pid() == static_cast<pid_t>(unit.root_pid())) root = &process;
  }
  if (unit.capsule() || root == nullptr || inside.contains(root->sid())) return outside;
  outside.session = root->sid();
  if (!inside.contains(root->pgid())) outside.group = root->pgid();
  return outside;
}

std::vector<TreeNode> TreeNodesOf(std::span<const pb::ProcessRecord> processes, pid_t reaper) {
  std::vector<TreeNode> nodes;
  for (const pb::ProcessRecord& process : processes) {
    TreeNode node{.pid = process.pid(),
                  .ppid = process.child_of_outside() ? reaper : process.ppid(),
                  .pgid = process.pgid(),
                  .sid = process.sid(),
                  .zombie = process.zombie(),
                  .subreaper = process.subreaper()};
    if (!process.zombie()) {
      node.tables = TablesOf(process);
      node.threads = ApartThreadsOf(process);
    }
    // Children of the reaper are made by Baton; whom they tell of their end is not in the unit.
    if (process.has_exit_signal() && !process.child_of_outside()) {
      node.exit_signal = static_cast<int>(process.exit_signal());
    }
    nodes.push_back(std::move(node));
  }
  return nodes;
}

}  // namespace baton
