// How commands reach the controller of a pool.
//
// Thread-safety: free functions.
#pragma once

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "base/result.h"
#include "cli/command.h"
#include "rpc/client.h"

namespace baton {

struct PoolFlags {
  std::string controller;
  std::string token_file;
};

// Adds --controller and --token-file.
void AddPoolOptions(CLI::App* command, PoolFlags* flags);

// --controller, else $BATON_CONTROLLER, else the socket of a controller that shares our state directory.
Result<Endpoint> PoolEndpoint(const PoolFlags& flags, const GlobalOptions& globals);
// Whether there is reason to believe that there is one: it was named, or has been in our state directory.
bool PoolIsKnown(const PoolFlags& flags, const GlobalOptions& globals);
Result<std::unique_ptr<RpcClient>> ConnectToPool(const PoolFlags& flags, const GlobalOptions& globals);

// How long a call may take.
inline constexpr std::chrono::seconds kCallPatience(30);

Result<uint64_t> ParseJobId(const std::string& text);
// A number that is no run of this machine means a job of the pool.
bool MeansPoolJob(const std::string& name, const PoolFlags& flags, const GlobalOptions& globals);

// Until the job is over, or `request` (0: none) is done, or `limit` has passed; how it is then. A controller that is
// away for a while is waited for.
Result<pb::JobInfo> AwaitJob(RpcClient& client, uint64_t job, uint64_t request,
                             std::chrono::milliseconds limit = std::chrono::hours(24 * 365));

}  // namespace baton
