// A job's private /dev/shm: a directory in the machine's own, so that it is memory and not disk, shown to the job in
// place of that one. Its files are part of the workspace.
//
//   /dev/shm/baton-UID/    (0700)
//     run-XXXXXX/          locked (flock) for as long as its keeper lives
//
// Thread-safety: one thread at a time.
#pragma once

#include <string>

#include "base/result.h"
#include "base/unique_fd.h"

namespace baton {

class SharedMemoryDir {
 public:
  // A new, empty one. Those whose keepers have died are removed on the way: they hold memory. kConflict where somebody
  // else has put something at the parent's place.
  static Result<SharedMemoryDir> Create(const std::string& parent = DefaultParent());
  static std::string DefaultParent();

  SharedMemoryDir(SharedMemoryDir&&) noexcept = default;
  SharedMemoryDir& operator=(SharedMemoryDir&&) = delete;
  // Removes it with all that is in it.
  ~SharedMemoryDir();

  const std::string& path() const { return path_; }

 private:
  SharedMemoryDir(std::string path, UniqueFd lock) : path_(std::move(path)), lock_(std::move(lock)) {}

  std::string path_;
  UniqueFd lock_;
};

}  // namespace baton
