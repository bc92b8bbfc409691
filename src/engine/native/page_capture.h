// Copying the content of memory while the unit stands still, and writing it later.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "engine/native/copy_buffer.h"
#include "engine/native/native.pb.h"
#include "image/writer.h"
#include "proc/status.h"
#include "task/page_map.h"
#include "task/remote_memory.h"
#include "task/remote_syscalls.h"
#include "task/shadow_process.h"
#include "thread/read_ahead.h"

namespace baton {

// Names of page spaces in the image.
std::string ProcessSpace(int32_t pid);
std::string ObjectSpace(uint64_t object);

// Pages copied out of a unit, waiting to be written; or, `in_place`, still in the unit, which stands until they are.
class CopiedPages {
 public:
  explicit CopiedPages(bool in_place) : in_place_(in_place) {}

  // Whether a process' own memory, as its status tells, is better kept by a shadow than copied in the pause.
  static bool WorthShadow(const ProcStatus& status);
  // The private memory of this process is read from its shadow, after the pause. Before CopyProcess.
  void AddShadow(pid_t host_pid, ShadowProcess shadow) { shadows_.emplace(host_pid, std::move(shadow)); }

  // Faults in room for about what the processes hold now. REQUIRES: before the freeze.
  Result<> Prepare(std::span<const pid_t> pids);

  // The private pages of all mappings of a process, and the shared memory objects it maps that were not copied yet.
  // `calls`: in that process, for what only it can tell (mincore).
  Result<> CopyProcess(const RemoteMemory& memory, RemoteSyscalls& calls, pb::ProcessRecord& process);
  // A shared object that we have mapped ourselves, whole, until all is written. `all`: also pages that are not there
  // (of huge ones mincore(2) tells only who has touched them).
  Result<> CopyOwn(PageRange mapped, bool all, const std::string& space);
  // All that was copied; the room for it stays.
  void Forget();
  // Once: what is written is released. What is still in place is read on a helper thread meanwhile.
  Result<> Write(ImageWriter& writer);
  uint64_t bytes() const { return bytes_; }

 private:
  struct Piece {
    std::string space;
    uint64_t address;
    std::span<const std::byte> content;  // empty: in place
    pid_t pid = 0;
    PageRange place{};
    bool by_pinning = true;  // how to read it there
  };
  class PlaceReader;
  static Result<> WriteFromPlace(ImageWriter& writer, const Piece& piece, ReadAhead& ahead);
  Result<> CopyPrivate(const RemoteMemory& memory, const PageMap& map, pb::MappingRecord& mapping,
                       const std::string& space);
  void Defer(pid_t shadow, const std::vector<PageRange>& ranges, const std::string& space);
  Result<> CopyWhole(const RemoteMemory& memory, const pb::MappingRecord& mapping, const std::string& space);
  Result<> CopyShared(const RemoteMemory& memory, RemoteSyscalls& calls, const pb::MappingRecord& mapping);
  // [start, end) of the target becomes `space` from `address` on.
  Result<> Copy(const RemoteMemory& memory, PageRange range, const std::string& space, uint64_t address, bool readable);

  bool in_place_;
  std::map<pid_t, ShadowProcess> shadows_;  // by the host pid of the process
  CopyBuffer buffer_;
  std::vector<Piece> pieces_;
  std::map<uint64_t, RangeSet> copied_objects_;  // by object: offsets
  uint64_t bytes_ = 0;
};

}  // namespace baton
