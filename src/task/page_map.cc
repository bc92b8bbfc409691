#include "task/page_map.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <span>

#include "proc/process_files.h"

namespace baton {
namespace {

constexpr uint64_t kPage = 4096;

// <linux/fs.h> of Linux 6.7; Debian 12's headers are older.
struct PageRegion {
  uint64_t start;
  uint64_t end;
  uint64_t categories;
};
struct ScanArguments {
  uint64_t size;
  uint64_t flags;
  uint64_t start;
  uint64_t end;
  uint64_t walk_end;
  uint64_t vec;
  uint64_t vec_len;
  uint64_t max_pages;
  uint64_t category_inverted;
  uint64_t category_mask;
  uint64_t category_anyof_mask;
  uint64_t return_mask;
};
constexpr unsigned long kPagemapScan = _IOWR('f', 16, ScanArguments);
constexpr size_t kRegions = 512;  // what the kernel gathers in one round
constexpr uint64_t kPageIsFile = 1U << 2U;
constexpr uint64_t kPageIsPresent = 1U << 3U;
constexpr uint64_t kPageIsSwapped = 1U << 4U;
constexpr uint64_t kPageIsPfnZero = 1U << 5U;
constexpr uint64_t kPageIsGuard = 1U << 8U;

// Bits of a /proc/PID/pagemap entry.
constexpr uint64_t kEntryGuard = uint64_t{1} << 58U;
constexpr uint64_t kEntryFile = uint64_t{1} << 61U;
constexpr uint64_t kEntrySwapped = uint64_t{1} << 62U;
constexpr uint64_t kEntryPresent = uint64_t{1} << 63U;

void Append(std::vector<PageRange>& ranges, uint64_t start, uint64_t end) {
  if (!ranges.empty() && ranges.back().end == start) {
    ranges.back().end = end;
  } else {
    ranges.push_back({start, end});
  }
}

}  // namespace

Result<PageMap> PageMap::Open(pid_t pid) {
  BATON_TRY(UniqueFd fd, OpenProcessFile(pid, "pagemap", O_RDONLY));
  return PageMap(std::move(fd));
}

// A kernel that does not know guard pages refuses to be asked for them.
Result<std::vector<PageRange>> PageMap::Scan(uint64_t start, uint64_t end, Want want,
                                             std::vector<PageRange>* guards) const {
  std::vector<PageRange> unwanted;
  for (const uint64_t guard_category : {kPageIsGuard, uint64_t{0}}) {
    unwanted.clear();
    auto ranges = ScanByIoctl(start, end, want, guards != nullptr ? *guards : unwanted, guard_category);
    if (ranges || (ranges.error().saved_errno() != ENOTTY && ranges.error().saved_errno() != EINVAL)) return ranges;
  }
  return ScanByReading(start, end, want, guards != nullptr ? *guards : unwanted);
}

Result<std::vector<PageRange>> PageMap::ScanByIoctl(uint64_t start, uint64_t end, Want want,
                                                    std::vector<PageRange>& guards, uint64_t guard_category) const {
  std::vector<PageRange> ranges;
  // More would be filled in several rounds, after which the kernel tells the end of an earlier one (seen on
  // Linux 6.18).
  std::vector<PageRegion> regions(kRegions);
  ScanArguments arguments{};
  arguments.size = sizeof arguments;
  arguments.end = end;
  arguments.vec = reinterpret_cast<uint64_t>(regions.data());
  arguments.vec_len = regions.size();
  arguments.category_anyof_mask = kPageIsPresent | kPageIsSwapped | guard_category;
  arguments.return_mask = kPageIsPresent | kPageIsSwapped | guard_category;
  if (want == Want::kPrivate) {
    // Required and inverted: not a page of the file, not the shared zero page.
    arguments.category_mask = kPageIsFile | kPageIsPfnZero;
    arguments.category_inverted = kPageIsFile | kPageIsPfnZero;
  }
  for (arguments.start = start; arguments.start < end; arguments.start = arguments.walk_end) {
    const int got = ioctl(fd_.get(), kPagemapScan, &arguments);
    if (const int error = errno; got < 0) return ErrnoError(error, "scan pages {:#x}-{:#x}", start, end);
    for (const PageRegion& region : std::span(regions).first(static_cast<size_t>(got))) {
      Append((region.categories & guard_category) != 0 ? guards : ranges, region.start, region.end);
    }
    if (static_cast<size_t>(got) < regions.size() || arguments.walk_end <= arguments.start) break;
  }
  return ranges;
}

Result<std::vector<PageRange>> PageMap::ScanByReading(uint64_t start, uint64_t end, Want want,
                                                      std::vector<PageRange>& guards) const {
  std::vector<PageRange> ranges;
  std::vector<uint64_t> entries(65536);
  for (uint64_t at = start; at < end;) {
    const size_t wanted = std::min<uint64_t>(entries.size(), (end - at) / kPage);
    const ssize_t got =
        pread(fd_.get(), entries.data(), wanted * sizeof(uint64_t), static_cast<off_t>(at / kPage * sizeof(uint64_t)));
    if (const int error = errno; got <= 0) return ErrnoError(got == 0 ? ESRCH : error, "page map at {:#x}", at);
    const size_t count = static_cast<size_t>(got) / sizeof(uint64_t);
    for (size_t i = 0; i < count; ++i, at += kPage) {
      const uint64_t entry = entries[i];
      if ((entry & (kEntryPresent | kEntrySwapped)) == 0) continue;
      if (want == Want::kPrivate && (entry & kEntryFile) != 0) continue;
      Append((entry & kEntryGuard) != 0 ? guards : ranges, at, at + kPage);
    }
  }
  return ranges;
}

}  // namespace baton
