// ReadAhead: a source read on a helper thread, a few parts ahead of whoever takes them, so that reading and what is
// done with what was read go on together.
//
//   ReadAhead ahead(room, kPart, [&](std::span<std::byte> part) -> Result<size_t> {...});
//   for (;;) { BATON_TRY(const std::span<const std::byte> part, ahead.Next()); if (part.empty()) break; ... }
//
// Thread-safety: used from one thread; the source is called from one other, until this object dies.
#pragma once

#include <atomic>
#include <cstddef>
#include <functional>
#include <semaphore>
#include <span>
#include <thread>
#include <vector>

#include "base/result.h"

namespace baton {

class ReadAhead {
 public:
  // Reads the next part into the room given: how much that was, 0 at the end.
  using Source = std::function<Result<size_t>(std::span<std::byte>)>;

  // `room`: for as many parts of `part_bytes` as fit in; at least two.
  ReadAhead(std::span<std::byte> room, size_t part_bytes, Source source);
  ReadAhead(const ReadAhead&) = delete;
  ReadAhead& operator=(const ReadAhead&) = delete;
  // Waits for the read that is under way.
  ~ReadAhead();

  // The next part, valid until the next call; empty at the end. After the end or an error no more calls.
  Result<std::span<const std::byte>> Next();

 private:
  struct Slot {
    std::span<std::byte> room;
    Result<size_t> got{size_t{0}};
  };
  void ReadAll();
  // Whether there may be more after it.
  bool Read(Slot& slot);

  Source source_;
  std::vector<Slot> slots_;
  size_t next_ = 0;
  bool holds_one_ = false;
  std::atomic<bool> unwanted_ = false;
  std::counting_semaphore<> free_;
  std::counting_semaphore<> read_{0};
  std::thread thread_;  // none where the system allows no more threads: then each part is read when it is asked for
};

}  // namespace baton
