// Names for runs that were given none, and who may take a name again.
//
// Thread-safety: free functions.
#pragma once

#include <string>

#include "base/result.h"
#include "keeper/paths.h"
#include "keeper/run_record.h"

namespace baton {

// "sim" from "/usr/bin/sim"; every character a name may not have becomes '-'. Never empty.
std::string NameFromProgram(const std::string& program);

struct NamedRun {
  std::string name;
  RunLock lock;
};

// `wanted`, or, if that is empty, the program's name with the first free number ("sim", "sim-2", ...), locked. An ended
// run's name is free to be taken again; kConflict for one that is running, or that was interrupted and can be resumed
// (unless `replace`).
Result<NamedRun> TakeRunName(const StatePaths& paths, const std::string& wanted, const std::string& program,
                             bool replace);

}  // namespace baton
