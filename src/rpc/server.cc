#include "rpc/server.h"

#include <grpcpp/grpcpp.h>
#include <grpcpp/server_posix.h>
#include <poll.h>
#include <sodium.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <chrono>
#include <map>
#include <mutex>
#include <thread>
#include <utility>

#include "base/log.h"
#include "rpc/pool_service.grpc.pb.h"
#include "rpc/status.h"

namespace baton {
namespace {

// A report of a worker with many units, and the description of a job with a large environment.
constexpr int kMaxMessage = 64 << 20;
constexpr std::string_view kBearer = "Bearer ";

// Which user is behind which connection. gRPC names a connection that it was handed "fd:N"; the number is taken again
// by a later one only when the older is closed, so the newest entry is the right one.
class Connections {
 public:
  void Note(int fd, std::optional<uid_t> user) {
    const std::lock_guard lock(mutex_);
    users_[fd] = user;
  }
  std::optional<uid_t> UserOf(const std::string& peer) {
    int fd = -1;
    if (!peer.starts_with("fd:")) return std::nullopt;
    std::from_chars(peer.data() + 3, peer.data() + peer.size(), fd);
    const std::lock_guard lock(mutex_);
    const auto found = users_.find(fd);
    return found == users_.end() ? std::nullopt : found->second;
  }

 private:
  std::mutex mutex_;
  std::map<int, std::optional<uid_t>> users_;
};

class Service : public pb::PoolService::Service {
 public:
  Service(std::string token, PoolHandler* handler) : token_(std::move(token)), handler_(handler) {}

  Connections& connections() { return connections_; }

  using Context = grpc::ServerContext;
  grpc::Status Report(Context* context, const pb::WorkerReport* request, pb::WorkerOrders* reply) override {
    return Call(context, &PoolHandler::Report, *request, reply);
  }
  grpc::Status GetPool(Context* context, const pb::GetPoolRequest* request, pb::GetPoolReply* reply) override {
    return Call(context, &PoolHandler::GetPool, *request, reply);
  }
  grpc::Status Submit(Context* context, const pb::SubmitRequest* request, pb::SubmitReply* reply) override {
    return Call(context, &PoolHandler::Submit, *request, reply);
  }
  grpc::Status ListJobs(Context* context, const pb::ListJobsRequest* request, pb::ListJobsReply* reply) override {
    return Call(context, &PoolHandler::ListJobs, *request, reply);
  }
  grpc::Status ShowJob(Context* context, const pb::ShowJobRequest* request, pb::ShowJobReply* reply) override {
    return Call(context, &PoolHandler::ShowJob, *request, reply);
  }
  grpc::Status ChangeJob(Context* context, const pb::ChangeJobRequest* request, pb::ChangeJobReply* reply) override {
    return Call(context, &PoolHandler::ChangeJob, *request, reply);
  }
  grpc::Status WaitJob(Context* context, const pb::WaitJobRequest* request, pb::WaitJobReply* reply) override {
    return Call(context, &PoolHandler::WaitJob, *request, reply);
  }
  grpc::Status ListWorkers(Context* context, const pb::ListWorkersRequest* request,
                           pb::ListWorkersReply* reply) override {
    return Call(context, &PoolHandler::ListWorkers, *request, reply);
  }
  grpc::Status DrainWorker(Context* context, const pb::DrainWorkerRequest* request,
                           pb::DrainWorkerReply* reply) override {
    return Call(context, &PoolHandler::DrainWorker, *request, reply);
  }

 private:
  template <typename Request, typename Reply>
  grpc::Status Call(Context* context, Result<Reply> (PoolHandler::*method)(const Caller&, const Request&),
                    const Request& request, Reply* reply) {
    const Caller caller{.user = connections_.UserOf(context->peer())};
    if (!caller.user && !HasToken(*context)) {
      return {grpc::StatusCode::UNAUTHENTICATED, "the controller does not know this token"};
    }
    auto result = (handler_->*method)(caller, request);
    if (!result) return StatusOf(result.error());
    *reply = std::move(*result);
    return grpc::Status::OK;
  }

  bool HasToken(const Context& context) const {
    const auto found = context.client_metadata().find("authorization");
    if (found == context.client_metadata().end() || token_.empty()) return false;
    const std::string_view value(found->second.data(), found->second.size());
    const bool same_size = value.size() == kBearer.size() + token_.size() && value.starts_with(kBearer);
    // In a time that says nothing about how much of it was right.
    return same_size && sodium_memcmp(value.data() + kBearer.size(), token_.data(), token_.size()) == 0;
  }

  std::string token_;
  PoolHandler* handler_;
  Connections connections_;
};

class Server : public RpcServer {
 public:
  Server(Endpoint endpoint, UniqueFd listener, UniqueFd stop, const std::string& token, PoolHandler* handler)
      : endpoint_(std::move(endpoint)),
        listener_(std::move(listener)),
        stop_(std::move(stop)),
        service_(token, handler) {}

  ~Server() override {
    eventfd_write(stop_.get(), 1);
    if (thread_.joinable()) thread_.join();
    constexpr std::chrono::seconds kPatience(1);
    if (server_ != nullptr) server_->Shutdown(std::chrono::system_clock::now() + kPatience);
    if (endpoint_.is_unix()) unlink(endpoint_.path().c_str());
  }

  Result<> Begin() {
    grpc::ServerBuilder builder;
    builder.SetMaxReceiveMessageSize(kMaxMessage);
    builder.RegisterService(&service_);
    server_ = builder.BuildAndStart();
    if (server_ == nullptr) return MakeError(ErrorCode::kInternal, "gRPC does not start");
    thread_ = std::jthread([this] { AcceptAll(); });
    return {};
  }

  const Endpoint& endpoint() const override { return endpoint_; }

 private:
  void AcceptAll() {
    while (true) {
      pollfd waiting[2] = {{.fd = listener_.get(), .events = POLLIN, .revents = 0},
                           {.fd = stop_.get(), .events = POLLIN, .revents = 0}};
      if (poll(waiting, 2, -1) < 0 && errno != EINTR) return;
      if (waiting[1].revents != 0) return;
      if (waiting[0].revents != 0) AcceptOne();
    }
  }

  void AcceptOne() {
    const int fd = accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    const int error = errno;
    if (fd < 0) {
      if (error == EAGAIN || error == EINTR || error == ECONNABORTED) return;
      BATON_LOG(kWarn, "accept: {}", ErrnoError(error, "{}", endpoint_.ToString()).ToString());
      // Out of descriptors, as a rule: some will be closed.
      constexpr std::chrono::milliseconds kPause(100);
      std::this_thread::sleep_for(kPause);
      return;
    }
    service_.connections().Note(fd, PeerUser(fd));
    // It is gRPC's from here on.
    grpc::AddInsecureChannelFromFd(server_.get(), fd);
  }

  Endpoint endpoint_;
  UniqueFd listener_;
  UniqueFd stop_;
  Service service_;
  std::unique_ptr<grpc::Server> server_;
  std::jthread thread_;
};

}  // namespace

Result<std::unique_ptr<RpcServer>> RpcServer::Start(const Endpoint& endpoint, const std::string& token,
                                                    PoolHandler* handler) {
  Endpoint found = endpoint;
  BATON_TRY(UniqueFd listener, Endpoint::Listen(&found));
  const int raw = eventfd(0, EFD_CLOEXEC);
  if (const int error = errno; raw < 0) return ErrnoError(error, "eventfd");
  auto server = std::make_unique<Server>(found, std::move(listener), UniqueFd(raw), token, handler);
  BATON_CHECKED(server->Begin());
  return server;
}

}  // namespace baton
