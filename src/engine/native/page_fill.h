// Reading raw pages of an image into a blank process: by the process itself and, where there is much, by threads of
// ours beside it. Faulting fresh pages in is what takes the time, and that one thread cannot do faster.
//
// Thread-safety: one thread, the tracer; the helpers are made and joined inside Run().
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <mutex>
#include <span>
#include <vector>

#include "base/result.h"

namespace baton {

class PageFill {
 public:
  struct Chunk {
    size_t segment = 0;  // of the image
    uint64_t offset = 0;
    uint64_t address = 0;
    uint64_t bytes = 0;
  };
  // Reads chunks in the process, all of them on return.
  using ReadInside = std::function<Result<>(std::span<const Chunk>)>;

  // `host_pid`: the process; `segment_fds`: ours, by index; borrowed.
  PageFill(pid_t host_pid, std::vector<int> segment_fds) : pid_(host_pid), segment_fds_(std::move(segment_fds)) {}
  void Add(size_t segment, uint64_t offset, uint64_t address, uint64_t bytes);
  Result<> Run(const ReadInside& read_inside);

 private:
  std::span<const Chunk> TakeFront();
  std::span<const Chunk> TakeBack();
  void Help();
  Result<> Copy(const Chunk& chunk, std::span<std::byte> buffer) const;

  pid_t pid_;
  std::vector<int> segment_fds_;
  std::vector<Chunk> chunks_;
  uint64_t bytes_ = 0;
  std::mutex mutex_;  // guards what follows
  size_t front_ = 0;
  size_t back_ = 0;
  Result<> trouble_;  // of a helper; the first
};

}  // namespace baton
