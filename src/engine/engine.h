// One interface over many checkpointers (design.md 11; XtreemOS' "common kernel checkpointer API" had the same aim).
// An engine turns a *unit* (all processes of a job on one machine) into an image, and an image back into a unit.
//
// Saving, in this order:   Begin -> Prepare -> Stop -> Capture -> Resume -> Write
//                     or     Begin -> Prepare -> Stop -> Capture -> Write -> Kill    (CaptureRequest::ends_with_kill)
//   Stop and Capture may fail because processes come and go (kUnavailable, kTaskGone): then Resume, and again from
//   Stop. Prepare runs beside the program; from Stop to Resume the program stands still; Write needs the program no
//   more and may run on another thread. Destroying a Capture at any moment lets the program go on as if nothing had
//   been.
// Restoring:               Begin -> Rebuild -> Go
//   after Rebuild all processes exist and stand still; destroying a Restore before Go leaves nothing behind.
//
// Threads: everything but Write must be called from one thread, the one that called Begin (ptrace belongs to a thread).
// All calls may block for as long as the unit is large. Errors: kNotSupported names process, thing and what to do, and
// comes from Prepare or Begin wherever it can be known there; kTaskGone if the unit died.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "image/reader.h"
#include "image/writer.h"

namespace baton {

// A descriptor whose other side is not part of the unit: the job's standard streams, or what --external names.
struct ExternalFd {
  std::string name;  // "stdin", "stdout", "stderr" or the user's; what the image records in its place
  // Capture: one of ours that is the same open file as the unit's, or the other end of the same pipe.
  // Restore: not used; see RestoreRequest::externals.
  int fd = -1;
};

struct CaptureRequest {
  enum class Scope {
    kCapsule,  // everything below `pid`, which is a capsule's init and not part of the unit itself
    kTree,     // `pid` and its descendants, or those of `roots`; Baton did not start them
  };
  Scope scope = Scope::kTree;
  pid_t pid = 0;  // as this process sees it
  std::vector<ExternalFd> externals;
  // kTree: instead of `pid`, the processes with whose descendants the unit is complete, the first one in front. Asked
  // again until all of them stand still.
  std::function<Result<std::vector<pid_t>>()> roots = {};
  // The unit's session, process group or terminal may be those of whoever restores it.
  bool shell_job = false;
  // TCP connections to outside the unit are saved as reset by their other end; otherwise they are refused.
  bool reset_tcp_outside = false;
  // It will be killed: Write comes before Kill and reads the memory from the unit itself, which stands still until
  // then.
  bool ends_with_kill = false;
};

struct CaptureStats {
  uint64_t processes = 0;
  uint64_t threads = 0;
  uint64_t memory_bytes = 0;          // copied
  std::chrono::nanoseconds pause{0};  // Stop to Resume
};

class UnitCapture {
 public:
  virtual ~UnitCapture() = default;
  virtual Result<> Prepare() = 0;
  virtual Result<> Stop() = 0;
  virtual Result<> Capture() = 0;
  virtual Result<> Resume() = 0;
  // SIGKILLs the unit instead. REQUIRES: Capture (and, to lose nothing, Write) done.
  virtual Result<> Kill() = 0;
  virtual Result<> Write(ImageWriter& writer) = 0;
  virtual CaptureStats stats() const = 0;
  // Files with a name that the unit has open for writing or mapped shared and writable, by their paths as it sees them
  // (known after Capture): the keeper reports those outside the workspace and copies the mapped ones in its final pass.
  struct WrittenFile {
    std::string path;
    uint64_t device = 0;
    uint64_t inode = 0;
    bool mapped = false;
    bool append = false;  // open for appending; one entry for each open file
  };
  virtual std::vector<WrittenFile> written_files() const = 0;
};

// Makes the first process of a restored unit: a blank one, looping in pause(2), that the engine then drives.
class StubSpawner {
 public:
  virtual ~StubSpawner() = default;
  // `ns_pid`: the number it must have in its pid namespace, or any. Returns its number as we see it.
  virtual Result<pid_t> SpawnStub(std::optional<pid_t> ns_pid) = 0;
};

struct RestoreRequest {
  const ImageReader* image = nullptr;  // already verified
  StubSpawner* spawner = nullptr;
  // The pid that adopts orphans where the unit is restored, as the unit sees it: 1 in a capsule.
  pid_t reaper_ns_pid = 1;
  bool in_capsule = true;
  // External name -> a descriptor of ours to put in its place, or -1 to leave it out. Borrowed until Rebuild returns.
  std::map<std::string, int> externals;
  bool shell_job = false;
};

class UnitRestore {
 public:
  virtual ~UnitRestore() = default;
  virtual Result<> Rebuild() = 0;
  virtual Result<> Go() = 0;
  // The unit's first process, as we see it. REQUIRES: Rebuild.
  virtual pid_t root_pid() const = 0;
};

// The unit's clocks at the moment it was saved, in ns as its processes read them.
struct SavedClocks {
  int64_t monotonic_ns = 0;
  int64_t boottime_ns = 0;
  int64_t realtime_ns = 0;
};

// What those who restore an image must know of it before they begin.
struct UnitSummary {
  pid_t root_pid = 0;  // in the numbers of the unit, as all of these
  bool capsule = false;
  // Every process and thread.
  std::vector<pid_t> numbers;
  // Names of the outside descriptors that it needs (RestoreRequest::externals), each once.
  std::vector<std::string> externals;
};

class Engine {
 public:
  virtual ~Engine() = default;
  virtual std::string_view Name() const = 0;
  virtual Result<std::unique_ptr<UnitCapture>> BeginCapture(CaptureRequest request) = 0;
  virtual Result<std::unique_ptr<UnitRestore>> BeginRestore(RestoreRequest request) = 0;
  // What a capsule must be told before the unit is rebuilt in it.
  virtual Result<SavedClocks> ReadClocks(const ImageReader& image) = 0;
  virtual Result<UnitSummary> ReadSummary(const ImageReader& image) = 0;
};

// kNotFound if there is no engine of this name ("native").
Result<std::unique_ptr<Engine>> MakeEngine(std::string_view name);

}  // namespace baton
