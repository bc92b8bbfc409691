// The user.* extended attributes of an open file or directory; the other namespaces belong to the system.
// Thread-safety: free functions without state.
#pragma once

#include <string>

#include "base/result.h"
#include "workspace/known_files.h"

namespace baton {

// Sorted by name; empty where the file system has none.
Result<Xattrs> ReadXattrs(int fd);
// Makes them exactly `xattrs`: others are removed. kNotSupported where the file system has none and some are wanted.
Result<> WriteXattrs(int fd, const Xattrs& xattrs);

}  // namespace baton
