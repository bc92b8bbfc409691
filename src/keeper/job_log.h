// JobLog: the job's stdout and stderr. Both are pipes; what comes out of them is appended to one log file and copied to
// the keeper's own stdout and stderr. The log is part of the job's state: a checkpoint notes its length when everything
// the frozen job had written is in it (Drain), and a resumed attempt begins with the log cut back to that length. So at
// the end it is, byte for byte, what an undisturbed run would have written.
//
// Where our own stdout and stderr are the same thing (a terminal, 2>&1), the job's are one pipe: the log then has the
// order in which the job wrote. Otherwise there are two, and between the streams the log has the order of arrival.
//
// The copies wait in a bounded queue for a slow reader; when it is full the job's pipes are read no more, which holds
// the job back as the reader alone would have. A reader that is gone (EPIPE) only ends the copying. When the log cannot
// be written (a full disk), what was read waits; the next Pump or Drain writes it first, so nothing is lost.
//
// Thread-safety: none. REQUIRES: SIGPIPE is ignored.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"

namespace baton {

class JobLog {
 public:
  // kNone: nothing is copied to our own stdout and stderr, and the job's are one pipe.
  enum class Copies { kToOurs, kNone };
  // Opens (or makes) the file and cuts it to `length` bytes, from where it goes on; kCorrupt if it is shorter.
  static Result<JobLog> Open(const std::string& path, uint64_t length, Copies copies = Copies::kToOurs);

  // The job's sides, to be its descriptors 1 and 2. Ours as well for as long as the log lives: by them a checkpoint
  // tells the job's stdout from its stderr where both are one pipe.
  int job_stdout() const { return job_ends_[0].get(); }
  int job_stderr() const { return job_ends_[1].get(); }
  // Our sides: one, or stdout and stderr.
  size_t streams() const { return streams_.size(); }
  int pipe(size_t index) const { return streams_.at(index).our_end.get(); }
  // Ours, where the stream is copied to.
  int copy_fd(size_t index) const { return streams_.at(index).copy_fd; }

  // Takes what is in a pipe now, at most one buffer.
  Result<> Pump(size_t index);
  // Takes everything the pipes hold. Ends only if the writers stand still.
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

 private:
  static constexpr size_t kMaxQueue = size_t{1} << 20;

  struct Stream {
    UniqueFd our_end;
    int copy_fd;
    std::string queue = {};  // not yet copied
    bool copying = true;
  };

  JobLog(UniqueFd file, std::string path, uint64_t length, std::vector<UniqueFd> job_ends, std::vector<Stream> streams)
      : file_(std::move(file)),
        path_(std::move(path)),
        length_(length),
        job_ends_(std::move(job_ends)),
        streams_(std::move(streams)) {}

  Result<> WritePending();
  static void CopyStream(Stream* stream, bool flush);

  UniqueFd file_;
  std::string path_;
  uint64_t length_;
  std::string pending_;  // read, not yet in the file; as a rule empty
  std::vector<UniqueFd> job_ends_;
  std::vector<Stream> streams_;
};

}  // namespace baton
