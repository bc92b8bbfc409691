// Which pages of a mapping have content of their own. Sources: ioctl PAGEMAP_SCAN (Linux 6.7), else /proc/PID/pagemap
// (proc(5)); both work for an ordinary user on processes he may trace.
//
// Thread-safety: one thread.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "task/page_range.h"

namespace baton {

class PageMap {
 public:
  static Result<PageMap> Open(pid_t pid);

  enum class Want {
    kPrivate,     // pages written since they were mapped (anonymous memory; copies of file pages)
    kAllPresent,  // any page that is there
  };
  // Ranges of wanted pages in [start, end), ascending and merged. Pages in swap count as there.
  // Pages that fault by their mark (MADV_GUARD_INSTALL, Linux 6.15 shows them) are not wanted; they go to `guards`.
  Result<std::vector<PageRange>> Scan(uint64_t start, uint64_t end, Want want,
                                      std::vector<PageRange>* guards = nullptr) const;

 private:
  explicit PageMap(UniqueFd fd) : fd_(std::move(fd)) {}
  Result<std::vector<PageRange>> ScanByIoctl(uint64_t start, uint64_t end, Want want, std::vector<PageRange>& guards,
                                             uint64_t guard_category) const;
  Result<std::vector<PageRange>> ScanByReading(uint64_t start, uint64_t end, Want want,
                                               std::vector<PageRange>& guards) const;

  UniqueFd fd_;
};

}  // namespace baton
