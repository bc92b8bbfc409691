// Making the memory of one process again in a blank one: mappings, content, flags, layout.
#pragma once

#include <map>
#include <string>

#include "base/result.h"
#include "engine/native/native.pb.h"
#include "image/reader.h"
#include "task/blank_task.h"

namespace baton {

// Descriptors of the holder that processes fetch for their mappings.
struct MemorySources {
  std::map<uint64_t, uint64_t> sysv_bytes;  // size of System V segments, in whole pages, by id
  pid_t holder_ns_pid = 0;
  std::vector<int> segments;               // raw page segments of the image, by index
  std::map<uint64_t, int> shared_objects;  // memfds, by object id
};

// REQUIRES: `task` is blank and has no descriptors; leaves none open.
Result<> RestoreMemory(BlankTask& task, const pb::ProcessRecord& process, const ImageReader& image,
                       const MemorySources& sources);

// Tells the kernel where code, heap, stack, arguments and environment are, and which file is the executable.
Result<> RestoreLayout(BlankTask& task, const pb::ProcessRecord& process);
// The same with an executable that is open in the process as `exe`; closes it. ETXTBSY if it is open for writing.
Result<> RestoreLayoutWith(BlankTask& task, const pb::ProcessRecord& process, int exe);

}  // namespace baton
