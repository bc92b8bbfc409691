// A process tree as plain values: what tree/plan.h plans for.
//
// Thread-safety: plain values.
#pragma once

#include <sys/types.h>

#include <array>
#include <csignal>
#include <cstddef>
#include <optional>
#include <vector>

namespace baton {

// What a task has for itself unless it was made to share it (clone(2)).
enum Table : size_t { kMemory, kActions, kFiles, kDirectories };
inline constexpr size_t kTables = 4;
constexpr unsigned Bit(Table table) { return 1U << table; }

// A number for each: tasks of the unit with the same number share it. 0: it is shared with nobody, but for the threads
// of a process that TreeNode::threads does not name. Who shares signal actions shares memory.
using Tables = std::array<int, kTables>;

// A thread with descriptors or directories that are not those of the process' first thread (unshare(2)).
struct TreeThread {
  pid_t tid = 0;
  Tables tables{};  // memory and signal actions are the process'
};

// One process; numbers as the unit's pid namespace has them.
struct TreeNode {
  pid_t pid = 0;
  pid_t ppid = 0;  // a node, or TreeOutside::reaper for the roots
  pid_t pgid = 0;  // the leader of a group or session may be a node, dead, or outside (TreeOutside)
  pid_t sid = 0;
  bool zombie = false;
  bool subreaper = false;
  Tables tables{};  // of its first thread; a zombie has none
  std::vector<TreeThread> threads{};
  int exit_signal = SIGCHLD;
};

// What the forest hangs on.
struct TreeOutside {
  pid_t reaper = 1;  // parent of the roots; it adopts those whose ancestors are no subreapers
  // The session and group that a root is in when it is forked, in which nodes may simply stay.
  std::optional<pid_t> session;
  std::optional<pid_t> group;
};

}  // namespace baton
