// System V objects of a frozen unit. In an IPC namespace of its own all are the unit's; in a shared one those that its
// processes have attached, made, or used last.
//
// Thread-safety: the tracer's thread. Errors: kNotSupported for what cannot be read or made again, naming the object.
#pragma once

#include <sys/shm.h>
#include <sys/types.h>

#include <map>
#include <set>
#include <utility>
#include <vector>

#include "base/result.h"
#include "engine/native/page_capture.h"
#include "engine/native/sysv.pb.h"

namespace baton {

// A segment of shared memory in our memory, for as long as this lives.
class AttachedSegment {
 public:
  AttachedSegment(void* start, uint64_t bytes, bool huge) : start_(start), bytes_(bytes), huge_(huge) {}
  AttachedSegment(AttachedSegment&& other) noexcept
      : start_(std::exchange(other.start_, nullptr)), bytes_(other.bytes_), huge_(other.huge_) {}
  AttachedSegment& operator=(AttachedSegment&&) = delete;
  ~AttachedSegment();
  uint64_t start() const { return reinterpret_cast<uint64_t>(start_); }
  uint64_t bytes() const { return bytes_; }  // whole pages
  bool huge() const { return huge_; }        // pages

 private:
  void* start_;
  uint64_t bytes_;
  bool huge_;
};

struct SysvScope {
  pid_t root_pid = 0;              // the unit's first process, as we see it
  std::map<pid_t, pid_t> numbers;  // all its processes: host pid -> own pid
  // Segments that its mappings show, with their page size (0: 4096).
  std::map<int, uint64_t> attached;
};

class SysvCapture {
 public:
  // Looks only; attaches the segments here, to be read.
  Result<> Find(const SysvScope& scope);
  Result<> CopySegments(CopiedPages& pages) const;
  void Forget();

  bool empty() const;
  pb::SysvRecord& record() { return record_; }

 private:
  Result<> FindAll(const SysvScope& scope);
  Result<> FindSegments(const SysvScope& scope);
  Result<> AddSegment(const SysvScope& scope, int id, const shmid_ds& status);
  Result<> FindSemaphores(const SysvScope& scope);
  Result<> FindQueues(const SysvScope& scope);

  pb::SysvRecord record_;
  std::map<int, AttachedSegment> segments_;
};

}  // namespace baton
