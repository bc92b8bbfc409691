// The mappings of a process as records, from /proc/PID/maps and the flags of /proc/PID/smaps.
#pragma once

#include <sys/types.h>

#include <map>
#include <vector>

#include "base/result.h"
#include "engine/native/native.pb.h"
#include "proc/maps.h"

namespace baton {

// The VmFlags of mappings, read while the program runs (smaps walks all page tables: never in the pause) and read again
// only if a mapping has changed.
class MappingFlags {
 public:
  // kTaskGone if the process has ended.
  Result<> Read(pid_t pid);
  // nullptr if this mapping was not there, or was another one.
  const std::vector<std::string>* Find(const MapsEntry& entry) const;

 private:
  struct Known {
    MapsEntry entry;
    std::vector<std::string> flags;
  };
  std::map<uint64_t, Known> by_start_;
};

// kNotSupported for a mapping that cannot be saved (device memory, AIO rings, ...), with address and path.
Result<std::vector<pb::MappingRecord>> DescribeMappings(pid_t pid, const std::vector<MapsEntry>& maps,
                                                        MappingFlags& flags);

bool HasFlag(const pb::MappingRecord& mapping, std::string_view flag);

}  // namespace baton
