#include "engine/native/table_owners.h"

namespace baton {

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
