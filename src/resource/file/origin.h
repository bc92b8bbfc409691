// Where an open regular file or directory can be found again: by its path, or nowhere because it has no name.
//
// Thread-safe: functions without state. Sources: /proc/PID/fd links, stat through /proc/PID/root (the unit may be in
// another mount namespace than we are).
#pragma once

#include <string>

#include "base/result.h"
#include "resource/file/file.pb.h"
#include "resource/kind.h"

namespace baton {

struct FileOrigin {
  pb::FilePayload::Origin origin = pb::FilePayload::PATH;
  std::string path;        // see FilePayload.path
  bool of_kernel = false;  // see FilePayload.of_kernel
  bool of_ended_process = false;
};

// kNotSupported, with what to do, where the file could not be found again or not be made again.
Result<FileOrigin> FindOrigin(const FdFacts& file, const CaptureContext& context);

// Whether the kernel makes up what is in such a file system (proc, sysfs, cgroup, ...).
bool IsKernelFileSystem(uint64_t fs_magic);

// "/proc/123/maps" -> 123, "/proc/meminfo" and all that is not under /proc -> 0.
pid_t ProcessOfProcPath(std::string_view path);

}  // namespace baton
