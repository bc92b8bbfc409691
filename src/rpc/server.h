// The controller's side of PoolService: it listens where endpoint.h allows, checks who calls, and hands each call to a
// PoolHandler. gRPC gets connections that were accepted and checked here; it opens no address itself.
//
// Thread-safety: the handler is called from several threads at once, one for each call. Errors of the handler become
// the call's status.
#pragma once

#include <sys/types.h>

#include <memory>
#include <optional>
#include <string>

#include "base/result.h"
#include "rpc/endpoint.h"
#include "rpc/pool_service.pb.h"

namespace baton {

// Who calls.
struct Caller {
  // At the other end of a UNIX socket, as the kernel says; nothing where a token let them in.
  std::optional<uid_t> user;
};

class PoolHandler {
 public:
  PoolHandler() = default;
  PoolHandler(const PoolHandler&) = delete;
  PoolHandler& operator=(const PoolHandler&) = delete;
  virtual ~PoolHandler() = default;

  virtual Result<pb::WorkerOrders> Report(const Caller& caller, const pb::WorkerReport& request) = 0;
  virtual Result<pb::GetPoolReply> GetPool(const Caller& caller, const pb::GetPoolRequest& request) = 0;
  virtual Result<pb::SubmitReply> Submit(const Caller& caller, const pb::SubmitRequest& request) = 0;
  virtual Result<pb::ListJobsReply> ListJobs(const Caller& caller, const pb::ListJobsRequest& request) = 0;
  virtual Result<pb::ShowJobReply> ShowJob(const Caller& caller, const pb::ShowJobRequest& request) = 0;
  virtual Result<pb::ChangeJobReply> ChangeJob(const Caller& caller, const pb::ChangeJobRequest& request) = 0;
  virtual Result<pb::WaitJobReply> WaitJob(const Caller& caller, const pb::WaitJobRequest& request) = 0;
  virtual Result<pb::ListWorkersReply> ListWorkers(const Caller& caller, const pb::ListWorkersRequest& request) = 0;
  virtual Result<pb::DrainWorkerReply> DrainWorker(const Caller& caller, const pb::DrainWorkerRequest& request) = 0;
};

class RpcServer {
 public:
  // Serves until it is destroyed. `token`: what calls must carry that do not come over a UNIX socket. `handler` is
  // borrowed.
  static Result<std::unique_ptr<RpcServer>> Start(const Endpoint& endpoint, const std::string& token,
                                                  PoolHandler* handler);
  RpcServer() = default;
  RpcServer(const RpcServer&) = delete;
  RpcServer& operator=(const RpcServer&) = delete;
  // No more calls; those under way have ended on return.
  virtual ~RpcServer() = default;

  // With the port that was found, if 0 was asked for.
  virtual const Endpoint& endpoint() const = 0;
};

}  // namespace baton
