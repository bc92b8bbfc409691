// The signals that end a daemon, taken as a descriptor.
#pragma once

#include "base/result.h"
#include "base/unique_fd.h"

namespace baton {

// Blocks SIGINT and SIGTERM in the calling thread, and ignores SIGPIPE. The descriptor is readable once one of the two
// has come. Call it before any thread is made: threads made later inherit the mask, so that none of them gets them.
Result<UniqueFd> TakeEndSignals();

}  // namespace baton
