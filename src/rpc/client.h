// Calls to a controller. A connection is made when it is needed, and made again after it broke: a controller that was
// down is found at once when it is back, without gRPC's growing pauses between attempts.
//
// Thread-safety: may be used from several threads. Errors: those of the controller; kUnavailable if it cannot be
// reached or does not answer within the time.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "base/result.h"
#include "rpc/endpoint.h"
#include "rpc/pool_service.pb.h"

namespace baton {

class RpcClient {
 public:
  // `token` may be empty for a UNIX socket. Connects to nothing yet.
  static std::unique_ptr<RpcClient> Create(const Endpoint& endpoint, const std::string& token);
  RpcClient() = default;
  RpcClient(const RpcClient&) = delete;
  RpcClient& operator=(const RpcClient&) = delete;
  virtual ~RpcClient() = default;

  using Timeout = std::chrono::milliseconds;
  virtual Result<pb::WorkerOrders> Report(const pb::WorkerReport& request, Timeout timeout) = 0;
  virtual Result<pb::GetPoolReply> GetPool(const pb::GetPoolRequest& request, Timeout timeout) = 0;
  virtual Result<pb::SubmitReply> Submit(const pb::SubmitRequest& request, Timeout timeout) = 0;
  virtual Result<pb::ListJobsReply> ListJobs(const pb::ListJobsRequest& request, Timeout timeout) = 0;
  virtual Result<pb::ShowJobReply> ShowJob(const pb::ShowJobRequest& request, Timeout timeout) = 0;
  virtual Result<pb::ChangeJobReply> ChangeJob(const pb::ChangeJobRequest& request, Timeout timeout) = 0;
  virtual Result<pb::WaitJobReply> WaitJob(const pb::WaitJobRequest& request, Timeout timeout) = 0;
  virtual Result<pb::ListWorkersReply> ListWorkers(const pb::ListWorkersRequest& request, Timeout timeout) = 0;
  virtual Result<pb::DrainWorkerReply> DrainWorker(const pb::DrainWorkerRequest& request, Timeout timeout) = 0;
};

}  // namespace baton
