#include "rpc/client.h"

#include <grpcpp/create_channel_posix.h>
#include <grpcpp/grpcpp.h>
#include <poll.h>

#include <mutex>
#include <optional>
#include <utility>

#include "base/file.h"
#include "rpc/pool_service.grpc.pb.h"
#include "rpc/status.h"

namespace baton {
namespace {

using Stub = pb::PoolService::Stub;

bool HungUp(int fd) {
  pollfd looked_at{.fd = fd, .events = POLLRDHUP, .revents = 0};
  return poll(&looked_at, 1, 0) > 0 && (looked_at.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

class Client : public RpcClient {
 public:
  Client(Endpoint endpoint, std::string token) : endpoint_(std::move(endpoint)), token_(std::move(token)) {}

  Result<pb::WorkerOrders> Report(const pb::WorkerReport& request, Timeout timeout) override {
    return Call(&Stub::Report, request, timeout);
  }
  Result<pb::GetPoolReply> GetPool(const pb::GetPoolRequest& request, Timeout timeout) override {
    return Call(&Stub::GetPool, request, timeout);
  }
  Result<pb::SubmitReply> Submit(const pb::SubmitRequest& request, Timeout timeout) override {
    return Call(&Stub::Submit, request, timeout);
  }
  Result<pb::ListJobsReply> ListJobs(const pb::ListJobsRequest& request, Timeout timeout) override {
    return Call(&Stub::ListJobs, request, timeout);
  }
  Result<pb::ShowJobReply> ShowJob(const pb::ShowJobRequest& request, Timeout timeout) override {
    return Call(&Stub::ShowJob, request, timeout);
  }
  Result<pb::ChangeJobReply> ChangeJob(const pb::ChangeJobRequest& request, Timeout timeout) override {
    return Call(&Stub::ChangeJob, request, timeout);
  }
  Result<pb::WaitJobReply> WaitJob(const pb::WaitJobRequest& request, Timeout timeout) override {
    return Call(&Stub::WaitJob, request, timeout);
  }
  Result<pb::ListWorkersReply> ListWorkers(const pb::ListWorkersRequest& request, Timeout timeout) override {
    return Call(&Stub::ListWorkers, request, timeout);
  }
  Result<pb::DrainWorkerReply> DrainWorker(const pb::DrainWorkerRequest& request, Timeout timeout) override {
    return Call(&Stub::DrainWorker, request, timeout);
  }

 private:
  template <typename Request, typename Reply>
  Result<Reply> Call(grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Reply*), const Request& request,
                     Timeout timeout) {
    BATON_TRY(const std::shared_ptr<Stub> stub, Connected());
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + timeout);
    if (!token_.empty()) context.AddMetadata("authorization", "Bearer " + token_);
    Reply reply;
    const grpc::Status status = (stub.get()->*method)(&context, request, &reply);
    if (status.ok()) return reply;
    // A connection that broke does not come back; nor is one of use that does not answer.
    if (status.error_code() == grpc::StatusCode::UNAVAILABLE ||
        status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED) {
      Drop(stub);
    }
    return ErrorOf(status);
  }

  Result<std::shared_ptr<Stub>> Connected() {
    const std::lock_guard lock(mutex_);
    // One that broke while nobody called is found here, so that the call need not fail.
    if (stub_ != nullptr && !HungUp(socket_->get())) return stub_;
    BATON_TRY(UniqueFd fd, endpoint_.Connect());
    grpc::ChannelArguments arguments;
    arguments.SetMaxReceiveMessageSize(-1);
    // gRPC does not tell of the state of a connection that it was given: so we keep a descriptor of our own.
    BATON_TRY(socket_, DupFd(fd.get()));
    stub_ = pb::PoolService::NewStub(grpc::CreateCustomInsecureChannelFromFd("baton", fd.release(), arguments));
    return stub_;
  }

  void Drop(const std::shared_ptr<Stub>& stub) {
    const std::lock_guard lock(mutex_);
    if (stub_ != stub) return;
    stub_.reset();
    socket_.reset();
  }

  Endpoint endpoint_;
  std::string token_;
  std::mutex mutex_;
  std::optional<UniqueFd> socket_;  // of the connection
  std::shared_ptr<Stub> stub_;
};

}  // namespace

std::unique_ptr<RpcClient> RpcClient::Create(const Endpoint& endpoint, const std::string& token) {
  return std::make_unique<Client>(endpoint, token);
}

}  // namespace baton
