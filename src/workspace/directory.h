// Directories by descriptor: listing, removing and reaching them without ever following a symbolic link.
// Thread-safety: free functions without state.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"

namespace baton {

struct DirectoryItem {
  std::string name;
  unsigned char type = 0;  // DT_*, DT_UNKNOWN where the file system does not say
};

// What is in the directory, without "." and "..", in no order.
Result<std::vector<DirectoryItem>> ListDirectory(int dir_fd);

// Removes `name` (one component) in `parent_fd` and all below it. kNotFound if it is not there.
Result<> RemoveTree(int parent_fd, const std::string& name);

// open(2) of `path` below `root_fd`, refusing anything that leaves it or goes through a symbolic link. An empty path is
// the root itself.
Result<UniqueFd> OpenBeneath(int root_fd, const std::string& path, int flags);

// readlinkat(2), however long the target.
Result<std::string> ReadLinkAt(int dir_fd, const std::string& name);

// "a/b" -> "a", "b" -> ""; and the last component.
std::string_view ParentOf(std::string_view path);
std::string_view BaseOf(std::string_view path);
std::string JoinPath(std::string_view directory, std::string_view name);

}  // namespace baton
