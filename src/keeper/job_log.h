// JobLog: the job's stdout and stderr. Both are pipes; what comes out of them is appended to one log file and copied to
// the keeper's own stdout and stderr. The log is part of the job's state: a checkpoint notes its length when everything
// the frozen job had written is in it (Drain), and a resumed attempt begins with the log cut back to that length. So at
// the end it is, byte for byte, what an undisturbed run would have written.
//
// The copies wait in a bounded queue for a slow reader; when it is full the job's pipes are read no more, which holds
// the job back as the reader alone would have. A reader that is gone (EPIPE) only ends the copying.
//
// Thread-safety: none. REQUIRES: SIGPIPE is ignored.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "base/result.h"
#include "base/unique_fd.h"

namespace baton {

class JobLog {
 public:
  // Opens (or makes) the file and cuts it to `length` bytes, from where it goes on; kCorrupt if it is shorter.
  static Result<JobLog> Open(const std::string& path, uint64_t length);

  // Ends of the pipes: the job's side (to be its descriptors 1 and 2) and ours.
  int job_stdout() const { return streams_[0].job_end.get(); }
  int job_stderr() const { return streams_[1].job_end.get(); }
  int stdout_pipe() const { return streams_[0].our_end.get(); }
  int stderr_pipe() const { return streams_[1].our_end.get(); }

  // Takes what is in the pipe `index` (0: stdout, 1: stderr) now, at most one buffer; false at its end (no writer
  // left).
  Result<bool> Pump(size_t index);
  // Takes everything both pipes hold. Ends only if the writers stand still.
  Result<> Drain();
  // Writes queued copies as far as that does not block; all of them, blocking, if `flush`.
  void CopyOut(bool flush);

  // Whether Pump should wait until copies have been written, and whether copies wait.
  bool Full(size_t index) const { return streams_.at(index).queue.size() >= kMaxQueue; }
  bool Queued(size_t index) const { return !streams_.at(index).queue.empty(); }

  // Bytes in the log file.
  uint64_t length() const { return length_; }
  // fsync of the log file.
  Result<> Sync() const;
  // Gives up the job's side: the job has its own copies by then, and the pipes must end with it.
  void CloseJobSide();

 private:
  static constexpr size_t kMaxQueue = size_t{1} << 20;

  struct Stream {
    UniqueFd job_end;
    UniqueFd our_end;
    int copy_fd;
    std::string queue = {};  // not yet copied
    bool copying = true;
  };

  JobLog(UniqueFd file, std::string path, uint64_t length, Stream out, Stream err)
      : file_(std::move(file)), path_(std::move(path)), length_(length), streams_{std::move(out), std::move(err)} {}

  Result<> Append(size_t index, std::string_view bytes);
  static void CopyStream(Stream* stream, bool flush);

  UniqueFd file_;
  std::string path_;
  uint64_t length_;
  std::array<Stream, 2> streams_;
};

}  // namespace baton
