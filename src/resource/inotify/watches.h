// The watches of an inotify descriptor, as the kernel shows them. Source: proc_pid_fdinfo(5). Pure; thread-safe.
#pragma once

#include <cstdint>
#include <vector>

#include "base/result.h"
#include "proc/fdinfo.h"
#include "resource/common/file_places.h"

namespace baton {

struct SeenWatch {
  int number = 0;
  uint32_t mask = 0;
  FileHandle handle;
};

// By number. kCorrupt, quoting the line.
Result<std::vector<SeenWatch>> ParseInotify(const FdInfo& info);

}  // namespace baton
