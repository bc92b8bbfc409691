// Starts the keeper of a unit as a process that outlives us: in a session of its own, with nothing open but its
// standard streams.
//
// Thread-safety: may be called while other threads run.
#pragma once

#include <sys/types.h>

#include <string>

#include "base/result.h"
#include "pool/keeper/unit_files.h"

namespace baton {

Result<pid_t> LaunchKeeper(const UnitFiles& files);

// The last line of a file that is not empty; empty if there is none.
std::string LastLine(const std::string& path);

}  // namespace baton
