// Where pages go while the unit stands still: memory of ours, faulted in beforehand so that the pause is one pass of
// copying and nothing else.
//
// Thread-safety: one thread writes; after that one may read and release.
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
  // Gives back what was taken up to the end of `taken`; spans are released in the order of their taking.
  void Release(std::span<const std::byte> taken);
  // Everything taken is free again.
  void Clear();

 private:
  struct Chunk {
    std::byte* start;
    size_t bytes;
    size_t used;
    size_t released;
  };
  Result<> AddChunk(size_t bytes);
  std::vector<Chunk> chunks_;
  size_t current_ = 0;
};

// MemAvailable of /proc/meminfo, in bytes.
Result<uint64_t> AvailableMemory();

}  // namespace baton
