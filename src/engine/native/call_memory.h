// What the kernel forgets: after a timed system call was interrupted once and taken up again, only "restart_syscall" is
// seen of it from outside, not which call it was nor until when. The engine remembers, from one checkpoint of a thread
// to the next, for as long as this process lives.
//
// Thread-safety: one thread.
#pragma once

#include <sys/types.h>

#include <array>
#include <cstdint>
#include <map>
#include <optional>

namespace baton {

class CallMemory {
 public:
  struct Entry {
    int64_t number = 0;
    std::array<uint64_t, 6> arguments{};
    std::optional<int64_t> deadline_ns;  // our CLOCK_MONOTONIC; none: for ever
    uint64_t start_time = 0;             // of the thread: tids are used again
    uint64_t instruction = 0;            // where its `syscall` stands
    uint64_t stack = 0;
  };

  void Remember(pid_t tid, const Entry& entry) { entries_[tid] = entry; }
  // What is remembered of this very call: same thread, same place in the program.
  std::optional<Entry> Recall(pid_t tid, uint64_t start_time, uint64_t instruction, uint64_t stack) const {
    const auto found = entries_.find(tid);
    if (found == entries_.end()) return std::nullopt;
    const Entry& entry = found->second;
    const bool same = entry.start_time == start_time && entry.instruction == instruction && entry.stack == stack;
    return same ? std::optional(entry) : std::nullopt;
  }
  void Forget(pid_t tid) { entries_.erase(tid); }

 private:
  std::map<pid_t, Entry> entries_;
};

}  // namespace baton
