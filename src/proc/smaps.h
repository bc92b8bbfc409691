// /proc/PID/smaps: what maps has, and sizes and flags of each mapping. Costs the kernel a walk over all page tables
// (tens of milliseconds per GiB): never read it while the program is stopped.
//
// Kernel source: fs/proc/task_mmu.c show_smap(); man 5 proc_pid_smaps.
// Pure; thread-safe. Errors: kCorrupt, quoting the line.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "proc/maps.h"

namespace baton {

struct SmapsEntry {
  MapsEntry mapping;
  // The two-letter codes of the "VmFlags:" line in order ("rd", "wr", "gd", "ht", "io", ...).
  std::vector<std::string> vm_flags;
  // Every "Name:   N kB" line in order: Rss, Anonymous, Swap, Shared_Hugetlb, Private_Hugetlb, KernelPageSize, ...
  std::vector<std::pair<std::string, uint64_t>> sizes_kb;

  bool HasFlag(std::string_view flag) const;
  // 0 where this kernel has no such line.
  uint64_t SizeKb(std::string_view name) const;
};

// Lines that are neither sizes nor VmFlags (THPeligible, ProtectionKey) are passed over.
Result<std::vector<SmapsEntry>> ParseSmaps(std::string_view text);

}  // namespace baton
