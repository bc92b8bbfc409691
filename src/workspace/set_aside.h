// SetAside: moves what came after a checkpoint out of one root, into a folder that can be named to the user. The folder
// is made when the first thing is moved; inside it paths are as they were in the root.
//
// Thread-safety: as for a plain value. REQUIRES: `root_fd` outlives it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/result.h"
#include "base/unique_fd.h"

namespace baton {

class SetAside {
 public:
  // `chosen_dir`: the user's folder, or empty: "<root_path>.set-aside-<n>". Where that cannot be made, or is on another
  // file system than the root: ".baton-set-aside-<n>" in the root.
  SetAside(int root_fd, std::string root_path, const std::string& root_name, const std::string& chosen_dir);

  // Moves `path` (below the root) away; links are moved, not followed.
  Result<> Move(const std::string& path);
  uint64_t moved() const { return moved_; }
  // Host path of the folder; empty if nothing was moved.
  std::string folder() const { return moved_ == 0 ? std::string() : folder_; }

 private:
  Result<> MakeFolder();
  Result<> MakeNumbered(int parent_fd, const std::string& parent_path, const std::string& prefix);
  Result<> FallBack();
  Result<> TryMove(const std::string& path);

  int root_fd_;
  std::string root_path_;
  std::string wanted_parent_;
  std::string wanted_prefix_;
  std::string folder_;
  std::optional<UniqueFd> fd_;
  uint64_t moved_ = 0;
};

// Makes the directory writable and searchable for its owner, as far as it is not. The caller puts the mode back.
Result<> MakeWritable(int dir_fd);

}  // namespace baton
