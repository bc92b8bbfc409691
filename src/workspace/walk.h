// Walking the directories of a workspace: what is there, by statx(2) alone. Symbolic links are never followed, other
// file systems mounted inside a root are not entered.
//
// Thread-safety: free functions without state. Errors: a directory that cannot be read is an error naming it; what
// vanishes during the walk is left out, since the job may run.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "workspace/workspace.h"

namespace baton {

// A file by device and inode.
using FileKey = std::pair<uint64_t, uint64_t>;

struct FileStatus {
  uint32_t file_type = 0;  // S_IFREG, S_IFDIR, ...
  uint32_t mode = 0;       // permission bits
  uint32_t uid = 0;
  uint32_t gid = 0;
  uint32_t links = 0;
  uint64_t size = 0;
  uint64_t allocated = 0;  // bytes on disk
  uint64_t device = 0;
  uint64_t inode = 0;
  int64_t mtime_ns = 0;
  int64_t ctime_ns = 0;

  FileKey key() const { return {device, inode}; }
  // The same file with the same size and times: its content is the same, unless `unsettled` says otherwise.
  bool SameAs(const FileStatus& other) const {
    return key() == other.key() && size == other.size && mtime_ns == other.mtime_ns && ctime_ns == other.ctime_ns &&
           file_type == other.file_type;
  }
};

struct Node {
  uint32_t root = 0;
  std::string path;  // below its root; empty for the root itself
  FileStatus status;
  // It changed so shortly before the walk that the clock of file times may not have ticked since: a later change may
  // leave the same status.
  bool unsettled = false;
};

struct TreeListing {
  std::vector<UniqueFd> root_fds;         // as the roots were given
  std::vector<Node> nodes;                // every directory before what is in it; names sorted within a directory
  std::vector<std::string> other_mounts;  // host paths of what was not entered
};

struct WalkOptions {
  std::vector<WorkspaceRoot> roots;
  std::vector<std::string> excludes = {};
  std::vector<std::string> skip_paths = {};
};

Result<TreeListing> WalkTree(const WalkOptions& options);

// Whether a pattern of --exclude matches (workspace.h says how).
bool IsExcluded(const std::vector<std::string>& excludes, const std::string& path);

// The status of `name` in `dir_fd`, or of the descriptor itself if `name` is empty; of a link itself.
struct NamedStatus {
  FileStatus status;
  bool mount_root = false;
};
Result<NamedStatus> StatusOf(int dir_fd, const std::string& name);

// No root inside another, names unique, paths absolute: kInvalidArgument says which and what to do. A root below a path
// that is skipped is in no other: the job's private /tmp below a state directory in its working directory.
Result<> CheckRoots(const std::vector<WorkspaceRoot>& roots, const std::vector<std::string>& skip_paths);

}  // namespace baton
