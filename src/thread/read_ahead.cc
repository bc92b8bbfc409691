#include "thread/read_ahead.h"

#include <system_error>
#include <utility>

#include "base/check.h"
#include "thread/signals_blocked.h"

namespace baton {

ReadAhead::ReadAhead(std::span<std::byte> room, size_t part_bytes, Source source)
    : source_(std::move(source)), free_(static_cast<std::ptrdiff_t>(room.size() / part_bytes)) {
  for (size_t at = 0; at + part_bytes <= room.size(); at += part_bytes) {
    slots_.push_back({.room = room.subspan(at, part_bytes)});
  }
  BATON_CHECK(slots_.size() >= 2);
  const SignalsBlocked in_the_thread;
  try {
    thread_ = std::thread([this] { ReadAll(); });
  } catch (const std::system_error&) {
    return;
  }
}

ReadAhead::~ReadAhead() {
  unwanted_ = true;
  free_.release();
  if (thread_.joinable()) thread_.join();
}

void ReadAhead::ReadAll() {
  for (size_t next = 0;; next = (next + 1) % slots_.size()) {
    free_.acquire();
    if (unwanted_) return;
    const bool more = Read(slots_[next]);
    read_.release();
    if (!more) return;
  }
}

bool ReadAhead::Read(Slot& slot) {
  slot.got = source_(slot.room);
  return slot.got && *slot.got > 0;
}

Result<std::span<const std::byte>> ReadAhead::Next() {
  if (std::exchange(holds_one_, true)) free_.release();
  Slot& slot = slots_[next_];
  next_ = (next_ + 1) % slots_.size();
  if (thread_.joinable()) {
    read_.acquire();
  } else {
    Read(slot);
  }
  if (!slot.got) return std::move(slot.got.error());
  return slot.room.first(*slot.got);
}

}  // namespace baton
