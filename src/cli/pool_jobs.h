// What ps, show, logs and checkpoint do for jobs of a pool.
//
// Thread-safety: free functions.
#pragma once

#include <cstdint>

#include "base/result.h"
#include "cli/format.h"
#include "rpc/client.h"

namespace baton {

Result<int> ShowPoolJob(RpcClient& client, uint64_t job, OutputFormat format);
Result<int> CheckpointPoolJob(RpcClient& client, uint64_t job, OutputFormat format);

// As the job wrote it, and with `follow` until it is over. Where it went back to a checkpoint stderr says so, and what
// was printed since is void.
Result<int> LogsOfPoolJob(RpcClient& client, uint64_t job, bool follow, OutputFormat format);

}  // namespace baton
