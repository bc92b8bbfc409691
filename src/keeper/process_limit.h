// What may take only so long.
//
// Thread-safety: free functions; a child must be one of ours that nobody else waits for.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <optional>

#include "base/result.h"

namespace baton {

// Waits for the end of a child; its status as wait(2) gives it. Nothing: it has not ended within `limit`; it was killed
// then, and is gone.
Result<std::optional<int>> WaitAtMost(pid_t child, std::chrono::milliseconds limit);

// Whether `fd` becomes readable within `limit`.
Result<bool> AwaitReadable(int fd, std::chrono::milliseconds limit);

}  // namespace baton
