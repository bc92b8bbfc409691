// Where pages go while the unit stands still: memory of ours, faulted in beforehand so that the pause is one pass of
// copying and nothing else.
//
// Thread-safety: one thread writes; after that any may read.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"

namespace baton {

class CopyBuffer {
 public:
  CopyBuffer() = default;
  CopyBuffer(CopyBuffer&& other) noexcept;
  CopyBuffer& operator=(CopyBuffer&&) = delete;
  ~CopyBuffer();

  // Makes room for `bytes` in all and faults it in. kUnavailable if the machine has not that much free memory.
  Result<> Prepare(uint64_t bytes);
  // Contiguous room for `bytes` (at most kMaxBlock); valid until this object dies.
  static constexpr size_t kMaxBlock = size_t{64} << 20;
  Result<std::span<std::byte>> Take(size_t bytes);

 private:
  struct Chunk {
    std::byte* start;
    size_t bytes;
    size_t used;
  };
  Result<> AddChunk();
  std::vector<Chunk> chunks_;
  size_t current_ = 0;
};

// MemAvailable of /proc/meminfo, in bytes.
Result<uint64_t> AvailableMemory();

}  // namespace baton
