// Where the files are that an inotify or fanotify descriptor watches: the kernel tells inode and file handle, but no
// path.
//
// As root the handle is opened. An ordinary user may not, but may ask for the handle of any path; so those that are
// likely are tried: open files of the unit and what is beside them, working directories and all below them.
// Sources: proc_pid_fdinfo(5), open_by_handle_at(2). Thread-safety: as for a plain value.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "resource/kind.h"

namespace baton {

struct FileHandle {
  uint64_t inode = 0;
  uint64_t device = 0;  // as the kernel has it: 12 bits of major number, 20 of minor
  int type = 0;
  std::vector<uint8_t> bytes;

  bool operator==(const FileHandle& other) const { return type == other.type && bytes == other.bytes; }
};

// The device as stat(2) has it.
dev_t DeviceOf(const FileHandle& handle);

// Takes over one "key: value" of a watch in /proc/PID/fdinfo if it is of the handle. kCorrupt, naming the key.
Result<> ReadHandleField(const FdInfo::Field& field, FileHandle& handle);

struct Place {
  std::string path;        // as the unit sees it; empty: no name any more
  uint32_t open_file = 0;  // the open file that it is, if there is one
};

class PlaceFinder {
 public:
  // For the files that the watches of `watcher` are on.
  PlaceFinder(const FdFacts& watcher, const CaptureContext& context) : watcher_(watcher), context_(context) {}
  // One place for each, in their order. kNotSupported if one is not found.
  Result<std::vector<Place>> Find(std::span<const FileHandle> handles);

 private:
  struct Wanted {
    const FileHandle* handle = nullptr;
    Place* place = nullptr;
    bool found = false;
  };
  void FindByHandle(Wanted& wanted) const;
  void FindAmongOpen(Wanted& wanted) const;
  void TryPath(const std::string& path);
  void TryAncestors(const std::string& path);
  void Walk(const std::string& directory);
  bool AllFound() const;

  const FdFacts& watcher_;
  const CaptureContext& context_;
  std::multimap<uint64_t, Wanted> wanted_;  // by inode
  size_t looked_at_ = 0;
};

}  // namespace baton
