// The watches of an epoll descriptor, as the kernel shows them, and the files behind them.
//
// Thread-safety: free functions without state.
#pragma once

#include <cstdint>
#include <vector>

#include "base/result.h"
#include "resource/kind.h"

namespace baton {

struct EpollWatch {
  int fd = -1;
  uint32_t events = 0;
  uint64_t data = 0;
  uint64_t inode = 0;  // of the watched file; 0 if the kernel does not show it
  unsigned index = 0;  // among the watches with this number, in the kernel's order
};

// kCorrupt on a line that is not as expected.
Result<std::vector<EpollWatch>> ParseWatches(const FdInfo& info);

// The open file of the unit that `watch` of `epoll` is on. kNotSupported if nobody in the unit has it open.
Result<const FdFacts*> FindWatched(const FdFacts& epoll, const EpollWatch& watch, const CaptureContext& context);

}  // namespace baton
