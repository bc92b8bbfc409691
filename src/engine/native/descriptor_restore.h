// Putting a task's descriptors in place, fetched from the holder.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <vector>

#include "base/result.h"
#include "engine/native/holder.h"
#include "engine/native/native.pb.h"
#include "engine/native/table_owners.h"
#include "task/blank_task.h"

namespace baton {

// What one task, a process or a thread with descriptors of its own, has to do for its own and the common ones.
struct TaskFiles {
  pid_t number = 0;
  std::vector<pb::DescriptorRecord> fetched;  // ascending; none if another task puts them in the table that they share
  uint32_t removed_cwd = 0;                   // open file; 0: no such, or another task goes there
  uint32_t removed_exe = 0;
  // Free in its table. Here RestoreDescriptors leaves an executable that no path leads to.
  int free_number = 0;
};

// By number, of all tasks that have a table of their own or share one.
std::map<pid_t, TaskFiles> FilesOfTasks(std::span<const pb::ProcessRecord> processes, const TableOwners& owners);

// REQUIRES: the process' memory is in place; those before it in the order of the image are done.
Result<> RestoreDescriptors(BlankTask& task, const TaskFiles& files, const Holder& holder);

}  // namespace baton
