// Jobs of a pool as text and as JSON: one shape for ps, show, wait and the rest.
//
// Thread-safety: free functions.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/result.h"
#include "cli/format.h"
#include "rpc/pool_service.pb.h"

namespace baton {

// "queued", "preparing", "running", "paused" (without a lease), "stopped" (saved, to go on elsewhere), "ended",
// "failed", "cancelled".
std::string JobStateText(const pb::JobInfo& job);

// Keys are stable; times are ms since 1970, sizes bytes, durations ms. A value that does not apply is null.
nlohmann::json JobJson(const pb::JobInfo& job);
nlohmann::json JobJson(const pb::ShowJobReply& shown);
nlohmann::json WorkerJson(const pb::WorkerInfo& worker);

std::string JobTable(const pb::ListJobsReply& jobs);
std::string WorkerTable(const pb::ListWorkersReply& workers);
std::string JobText(const pb::ShowJobReply& shown);
std::string CheckpointName(const pb::CheckpointId& id);

}  // namespace baton
