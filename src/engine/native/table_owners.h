// Which of the tasks that share something puts it in place at a restore: the first that has it, in the order of the
// image, a process before its threads.
//
// Thread-safety: const functions from any thread.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <span>

#include "base/result.h"
#include "engine/native/native.pb.h"

namespace baton {

// Records of version 1 say only what a process shares with its parent: numbers for that. REQUIRES: parents come first.
void NumberOldTables(std::span<pb::ProcessRecord> processes);

// kCorrupt unless who shares signal actions shares memory (clone(2)), and threads that stand apart are their process'.
Result<> CheckTables(std::span<const pb::ProcessRecord> processes);

class TableOwners {
 public:
  TableOwners() = default;
  explicit TableOwners(std::span<const pb::ProcessRecord> processes);

  // `number`: of the table; `task`: one that has it.
  bool OwnsMemory(const pb::ProcessRecord& process) const {
    return Owns(memory_, process.memory_table(), process.pid());
  }
  bool OwnsActions(const pb::ProcessRecord& process) const {
    return Owns(actions_, process.actions_table(), process.pid());
  }
  bool OwnsFiles(uint32_t number, pid_t task) const { return Owns(files_, number, task); }
  bool OwnsDirectories(uint32_t number, pid_t task) const { return Owns(directories_, number, task); }

 private:
  using Owners = std::map<uint32_t, pid_t>;  // by the number of the table
  static bool Owns(const Owners& owners, uint32_t number, pid_t task) {
    return number == 0 || owners.at(number) == task;
  }

  Owners memory_;
  Owners actions_;
  Owners files_;
  Owners directories_;
};

}  // namespace baton
