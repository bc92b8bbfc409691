// /proc/PID/mountinfo: the mounts that the task's root can reach.
//
//   36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue
//
// Kernel source: fs/proc_namespace.c show_mountinfo(); man 5 proc_pid_mountinfo.
// Pure; thread-safe. Errors: kCorrupt, quoting the line.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace baton {

// Texts have the kernel's octal escapes (\040 for a blank) decoded.
struct MountInfo {
  int mount_id = 0;
  int parent_id = 0;
  unsigned dev_major = 0;
  unsigned dev_minor = 0;
  std::string root;         // what of the file system is mounted; ends in "//deleted" once that is unlinked
  std::string mount_point;  // seen from the task's root
  std::string options;      // of the mount: "rw,noatime"
  std::vector<std::string> optional_fields;  // "shared:1", "master:2", "propagate_from:2", "unbindable"
  std::string fs_type;                       // "ext4", "fuse.sshfs"
  std::string source;                        // may be empty
  std::string super_options;                 // of the file system, undecoded: its commas and escapes are its own
};

Result<std::vector<MountInfo>> ParseMountInfo(std::string_view text);

}  // namespace baton
