// Half-open ranges of addresses, and sets of them.
#pragma once

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <map>
#include <vector>

namespace baton {

struct PageRange {
  uint64_t start = 0;
  uint64_t end = 0;
  uint64_t bytes() const { return end - start; }
  bool operator==(const PageRange&) const = default;
};

// Ranges that were seen already. Thread-safety: a plain value.
class RangeSet {
 public:
  // Adds `range`; returns the parts of it that were not in the set.
  std::vector<PageRange> Add(PageRange range) {
    std::vector<PageRange> fresh;
    uint64_t at = range.start;
    auto next = ends_.upper_bound(at);  // the first known range that ends behind `at`
    for (; at < range.end && next != ends_.end() && next->second < range.end; ++next) {
      if (next->second > at) fresh.push_back({at, next->second});
      at = std::max(at, next->first);
    }
    if (at < range.end) fresh.push_back({at, range.end});
    for (const PageRange& part : fresh) ends_[part.end] = part.start;
    return fresh;
  }

 private:
  std::map<uint64_t, uint64_t> ends_;  // end -> start; disjoint
};

}  // namespace baton
