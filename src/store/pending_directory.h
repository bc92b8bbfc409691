// A directory that comes into being as a whole: filled under another name, renamed when it is complete and synced. To
// an outsider it is in one of four states (docs/formats/image.md).
//
// Thread-safety: as for a plain value. Sources: flock(2), rename(2) RENAME_NOREPLACE (Linux 3.15), fsync(2).
#pragma once

#include <string>

#include "base/result.h"
#include "base/unique_fd.h"

namespace baton {

enum class DirectoryState {
  kAbsent,
  kBeingWritten,  // NAME.partial, locked by a living writer
  kAbandoned,     // NAME.partial, its writer died
  kComplete,
};

Result<DirectoryState> StateOfDirectory(const std::string& name);

class PendingDirectory {
 public:
  // An empty NAME.partial, locked; an abandoned one is removed first. An empty directory NAME is as good as none.
  // kConflict where NAME is complete or being written. Missing parents are made.
  static Result<PendingDirectory> Create(const std::string& name);
  PendingDirectory(PendingDirectory&&) noexcept = default;
  PendingDirectory& operator=(PendingDirectory&&) = delete;
  // Removes what was not committed.
  ~PendingDirectory();

  // Where to put the content. Absolute.
  const std::string& path() const { return partial_; }
  // Syncs every file and directory, then gives it its name. On an error nothing has that name.
  Result<> Commit();

 private:
  PendingDirectory(std::string name, std::string partial, UniqueFd lock)
      : name_(std::move(name)), partial_(std::move(partial)), lock_(std::move(lock)) {}

  std::string name_;
  std::string partial_;  // empty: committed or moved from
  UniqueFd lock_;
};

// Removes a directory and all below, so that nobody ever sees it half removed under its name; a removal that was
// interrupted is finished by the next one. Nothing there: nothing done.
Result<> RemoveDirectory(const std::string& name);

}  // namespace baton
