// RunUnit: the keeper process of one unit of a pool, from its start to its end.
//
// Thread-safety: as RunJob. Errors: why the unit could not be started, or why it was ended; the worker finds no end on
// disk then.
#pragma once

#include <optional>
#include <string>

#include "base/result.h"
#include "base/unique_fd.h"

namespace baton {

// `directory`: the unit's (unit_files.h); `start` is there. Where it names a user and we are root, we become that user
// first. `renewal`: see PoolUnit::Create.
Result<> RunUnit(const std::string& directory, std::optional<UniqueFd> renewal);

}  // namespace baton
