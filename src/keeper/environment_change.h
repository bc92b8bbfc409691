// New values in the environment of processes that are being made again. A process keeps its environment in its own
// memory; what can be changed from outside are the strings that it was started with, in their place: a new value must
// not be longer than the old one. Programs that look there (getenv(3) of the C library) see it, those that made a copy
// at their start (shells, Python's os.environ) do not.
//
// Thread-safety: the thread that made the processes. Errors: kNotFound if no process has a variable, kNotSupported
// where a value is too long; nothing has been changed then.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <set>
#include <string>
#include <vector>

#include "base/result.h"

namespace baton {

// "NAME=VALUE", with a name. kInvalidArgument otherwise.
Result<> CheckEnvironmentChange(const std::string& change);

// One string to be written at `offset` of a block, filled up with NULs to the old one's length.
struct EnvironmentWrite {
  size_t offset = 0;
  std::string bytes;
  size_t change = 0;  // which of the changes
};
// Where in a block of NUL-terminated strings the changes go.
Result<std::vector<EnvironmentWrite>> PlanEnvironment(std::string_view block, const std::vector<std::string>& changes);

// In all these processes, which stand still.
Result<> ChangeEnvironment(const std::set<pid_t>& pids, const std::vector<std::string>& changes);

}  // namespace baton
