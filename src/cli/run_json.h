// Runs as JSON: one shape for ps and show.
#pragma once

#include <nlohmann/json.hpp>

#include "keeper/paths.h"
#include "keeper/run_record.pb.h"

namespace baton {

// Keys are stable; times are ms since 1970, sizes bytes, durations microseconds. A value that does not apply is null.
nlohmann::json RunJson(const StatePaths& paths, const pb::RunRecord& record);
nlohmann::json CheckpointJson(const pb::CheckpointNote& note);
// The command for people: arguments joined by blanks, quoted where a shell would need it.
std::string CommandText(const pb::JobSpec& spec);

}  // namespace baton
