// What the kernel forgets: after a timed system call was interrupted once and taken up again, only "restart_syscall" is
// seen of it from outside, not which call it was nor until when. The engine remembers, from one checkpoint (or restore)
// of a thread to the next, in memory and in a small file of this boot: /run/baton/calls for root,
// $XDG_RUNTIME_DIR/baton/calls
// or /dev/shm/baton-UID/calls for others. Without the file the call is guessed (interrupted_call.cc).
//
// Thread-safety: one thread. Several processes may use the file: it is replaced as a whole under a lock.
#pragma once

#include <sys/types.h>

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>

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

  // `path` empty: in memory only.
  explicit CallMemory(std::string path) : path_(std::move(path)) {}
  // The file's place for this user; empty if there is none.
  static std::string DefaultPath();

  void Remember(pid_t tid, const Entry& entry) {
    entries_[tid] = entry;
    changed_ = true;
  }
  void Forget(pid_t tid) { changed_ = entries_.erase(tid) > 0 || changed_; }
  // What is remembered of this very call: same thread, same place in the program.
  std::optional<Entry> Recall(pid_t tid, uint64_t start_time, uint64_t instruction, uint64_t stack) const;

  // Adds what other processes have written. What cannot be read is not there: this is a memory, not a record.
  void Load();
  // Writes what there is to remember of threads that still live. REQUIRES: not while a unit stands still.
  void Save();

 private:
  std::string path_;
  std::map<pid_t, Entry> entries_;
  bool changed_ = false;
};

}  // namespace baton
