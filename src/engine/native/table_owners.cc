#include "engine/native/table_owners.h"

#include <algorithm>

namespace baton {

namespace {

bool HasTables(const pb::ProcessRecord& process) {
  return process.memory_table() != 0 || process.actions_table() != 0 || process.files_table() != 0 ||
         process.directories_table() != 0 || process.apart_threads_size() != 0;
}

}  // namespace

void NumberOldTables(std::span<pb::ProcessRecord> processes) {
  std::map<pid_t, pb::ProcessRecord*> by_pid;
  for (pb::ProcessRecord& process : processes) by_pid[process.pid()] = &process;
  for (pb::ProcessRecord& process : processes) {
    const auto found = by_pid.find(process.ppid());
    if (found == by_pid.end() || found->second == &process) continue;
    pb::ProcessRecord& parent = *found->second;
    if (process.shares_files()) {
      if (parent.files_table() == 0) parent.set_files_table(static_cast<uint32_t>(parent.pid()));
      process.set_files_table(parent.files_table());
    }
    if (process.shares_directories()) {
      if (parent.directories_table() == 0) parent.set_directories_table(static_cast<uint32_t>(parent.pid()));
      process.set_directories_table(parent.directories_table());
    }
  }
}

Result<> CheckTables(std::span<const pb::ProcessRecord> processes) {
  std::map<uint32_t, uint32_t> memory_of_actions;
  for (const pb::ProcessRecord& process : processes) {
    if (process.zombie() && HasTables(process))
      return MakeError(ErrorCode::kCorrupt, "process {} has ended and shares something", process.pid());
    if (process.actions_table() != 0) {
      const auto known = memory_of_actions.emplace(process.actions_table(), process.memory_table()).first;
      if (process.memory_table() == 0 || known->second != process.memory_table())
        return MakeError(ErrorCode::kCorrupt, "process {} shares signal actions and not its memory", process.pid());
    }
    for (const pb::ApartThreadRecord& thread : process.apart_threads()) {
      const auto found = std::ranges::find(process.threads(), thread.tid(), &pb::ThreadRecord::tid);
      if (found != process.threads().end() && thread.tid() != process.pid()) continue;
      return MakeError(ErrorCode::kCorrupt, "process {} has no thread {}", process.pid(), thread.tid());
    }
  }
  return {};
}

TableOwners::TableOwners(std::span<const pb::ProcessRecord> processes) {
  for (const pb::ProcessRecord& process : processes) {
    memory_.emplace(process.memory_table(), process.pid());
    actions_.emplace(process.actions_table(), process.pid());
    files_.emplace(process.files_table(), process.pid());
    directories_.emplace(process.directories_table(), process.pid());
    for (const pb::ApartThreadRecord& thread : process.apart_threads()) {
      files_.emplace(thread.files_table(), thread.tid());
      directories_.emplace(thread.directories_table(), thread.tid());
    }
  }
}

}  // namespace baton
