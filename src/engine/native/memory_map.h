// The mappings of a process as records, from /proc/PID/maps and the flags of /proc/PID/smaps.
#pragma once

#include <sys/types.h>

#include <bit>
#include <cstdint>
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
  struct Known {
    MapsEntry entry;
    std::vector<std::string> flags;
    uint64_t page_bytes = 0;  // of huge pages (hugetlb), else 0
  };

  // kTaskGone if the process has ended.
  Result<> Read(pid_t pid);
  // nullptr if this mapping was not there, or was another one.
  const Known* Find(const MapsEntry& entry) const;

 private:
  std::map<uint64_t, Known> by_start_;
};

// kNotSupported for a mapping that cannot be saved (device memory, AIO rings, ...), with address and path.
Result<std::vector<pb::MappingRecord>> DescribeMappings(pid_t pid, const std::vector<MapsEntry>& maps,
                                                        MappingFlags& flags);

// For mmap(2) and memfd_create(2) with huge pages of this size (MAP_HUGE_SHIFT).
inline uint64_t HugePageFlag(uint64_t page_bytes) {
  constexpr int kHugeShift = 26;
  return static_cast<uint64_t>(std::countr_zero(page_bytes)) << kHugeShift;
}

bool HasFlag(const pb::MappingRecord& mapping, std::string_view flag);

}  // namespace baton
