// fanotify(7): a group with its flags and its marks on files, mounts and file systems. Events that wait are lost. A
// group that decides about access (permission events) is refused: while it stands still nobody could open what it
// guards.
//
// Sources: proc_pid_fdinfo(5), fanotify_init(2), fanotify_mark(2). Thread-safety: as kind.h.
#pragma once

#include <memory>
#include <vector>

#include "resource/common/file_places.h"
#include "resource/fanotify/fanotify.pb.h"
#include "resource/kind.h"

namespace baton {

std::unique_ptr<ResourceKind> MakeFanotifyKind();

// A mark as /proc/PID/fdinfo shows it; its place is still to be found.
struct SeenMark {
  pb::FanotifyMark mark;
  FileHandle handle;      // INODE; of a FILE_SYSTEM only the device
  uint64_t mount_id = 0;  // MOUNT
};

// Flags of the group into `message`, and its marks. kCorrupt for lines that are not understood.
Result<std::vector<SeenMark>> ParseFanotify(const FdInfo& info, pb::FanotifyPayload& message);

}  // namespace baton
