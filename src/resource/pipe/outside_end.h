// Who outside the unit holds an end of a pipe: a look at the descriptors of every process we may look at.
//
// Cost: one stat per descriptor of the machine. Thread-safety: free functions without state.
#pragma once

#include <sys/stat.h>
#include <sys/types.h>

#include <functional>
#include <optional>

namespace baton {

enum class PipeEnd { kRead, kWrite };

// A process that holds the `end` of the pipe `status` is of, and for which `in_unit` is false. None if nobody does, as
// far as can be seen: processes of other users are not shown to an ordinary user.
std::optional<pid_t> FindHolder(const struct stat& status, PipeEnd end, const std::function<bool(pid_t)>& in_unit);

}  // namespace baton
