// Server and client together, over both kinds of address.
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <future>
#include <memory>
#include <string>
#include <utility>

#include "base/test_dir.h"
#include "rpc/client.h"
#include "rpc/server.h"

namespace baton {
namespace {

constexpr std::chrono::seconds kPatience(20);
const char* const kToken = "0123456789abcdef0123456789abcdef";

// Answers with who called, and with the error whose code is the number of the job.
class Echo : public PoolHandler {
 public:
  Result<pb::WorkerOrders> Report(const Caller& caller, const pb::WorkerReport& request) override {
    pb::WorkerOrders orders;
    orders.set_sequence(request.sequence());
    orders.set_worker(caller.user ? std::to_string(*caller.user) : "token");
    return orders;
  }
  Result<pb::GetPoolReply> GetPool(const Caller&, const pb::GetPoolRequest&) override {
    pb::GetPoolReply reply;
    reply.set_pool_id("p");
    return reply;
  }
  Result<pb::SubmitReply> Submit(const Caller&, const pb::SubmitRequest& request) override {
    pb::SubmitReply reply;
    reply.set_job(request.spec().size());
    return reply;
  }
  Result<pb::ListJobsReply> ListJobs(const Caller&, const pb::ListJobsRequest&) override {
    pb::ListJobsReply reply;
    reply.add_jobs()->set_id(1);
    return reply;
  }
  Result<pb::ShowJobReply> ShowJob(const Caller&, const pb::ShowJobRequest& request) override {
    return MakeError(static_cast<ErrorCode>(request.job()), "error {}", request.job());
  }
  Result<pb::ChangeJobReply> ChangeJob(const Caller&, const pb::ChangeJobRequest& request) override {
    pb::ChangeJobReply reply;
    reply.set_request(request.change_case());
    return reply;
  }
  // Until the test lets it go.
  Result<pb::WaitJobReply> WaitJob(const Caller&, const pb::WaitJobRequest&) override {
    go_on_.get_future().wait();
    return pb::WaitJobReply();
  }
  Result<pb::ListWorkersReply> ListWorkers(const Caller&, const pb::ListWorkersRequest&) override {
    pb::ListWorkersReply reply;
    reply.add_workers()->set_id("w");
    return reply;
  }
  Result<pb::DrainWorkerReply> DrainWorker(const Caller&, const pb::DrainWorkerRequest&) override {
    return pb::DrainWorkerReply();
  }
  void GoOn() { go_on_.set_value(); }

 private:
  std::promise<void> go_on_;
};

class Rpc : public testing::Test {
 protected:
  void SetUp() override { socket_ = "unix:" + directory_ / "pool.sock"; }

  std::unique_ptr<RpcServer> Serve(const std::string& address) {
    auto server = RpcServer::Start(*Endpoint::Parse(address), kToken, &echo_);
    EXPECT_TRUE(server) << server.error().ToString();
    return server ? std::move(*server) : nullptr;
  }
  static Result<std::string> WhoAmI(RpcClient& client) {
    pb::WorkerReport report;
    report.set_sequence(3);
    BATON_TRY(const auto orders, client.Report(report, kPatience));
    EXPECT_EQ(orders.sequence(), 3U);
    return orders.worker();
  }

  Echo echo_;
  TestDir directory_;
  std::string socket_;
};

TEST_F(Rpc, OverASocketTheKernelSaysWhoCalls) {
  const auto server = Serve(socket_);
  const auto client = RpcClient::Create(server->endpoint(), "");
  const auto who = WhoAmI(*client);
  ASSERT_TRUE(who) << who.error().ToString();
  EXPECT_EQ(*who, std::to_string(geteuid()));
}

TEST_F(Rpc, OverLoopbackTheTokenLetsIn) {
  const auto server = Serve("127.0.0.1:0");
  EXPECT_EQ(*WhoAmI(*RpcClient::Create(server->endpoint(), kToken)), "token");
  const std::string almost = std::string(kToken).substr(0, 31) + "x";
  for (const std::string& wrong : {std::string(), std::string("x"), almost, kToken + std::string("0")}) {
    const auto refused = WhoAmI(*RpcClient::Create(server->endpoint(), wrong));
    ASSERT_FALSE(refused) << wrong;
    EXPECT_EQ(refused.error().code(), ErrorCode::kInvalidArgument);
  }
}

TEST_F(Rpc, EveryCallGoesThrough) {
  const auto server = Serve(socket_);
  const auto client = RpcClient::Create(server->endpoint(), "");
  pb::SubmitRequest submit;
  submit.set_spec(std::string(8 << 20, '\0'));
  EXPECT_EQ(client->Submit(submit, kPatience)->job(), uint64_t{8} << 20);
  EXPECT_EQ(client->GetPool({}, kPatience)->pool_id(), "p");
  EXPECT_EQ(client->ListJobs({}, kPatience)->jobs_size(), 1);
  EXPECT_EQ(client->ListWorkers({}, kPatience)->workers_size(), 1);
  pb::ChangeJobRequest change;
  change.mutable_move()->set_to("w");
  EXPECT_EQ(client->ChangeJob(change, kPatience)->request(), uint64_t{pb::ChangeJobRequest::kMove});
  EXPECT_TRUE(client->DrainWorker({}, kPatience));
}

TEST_F(Rpc, ErrorsKeepTheirCodeAndText) {
  const auto server = Serve(socket_);
  const auto client = RpcClient::Create(server->endpoint(), "");
  for (int code = 0; code <= static_cast<int>(ErrorCode::kInternal); ++code) {
    pb::ShowJobRequest request;
    request.set_job(static_cast<uint64_t>(code));
    const auto reply = client->ShowJob(request, kPatience);
    ASSERT_FALSE(reply);
    EXPECT_EQ(reply.error().code(), static_cast<ErrorCode>(code));
    EXPECT_EQ(reply.error().ToString(), "error " + std::to_string(code));
  }
}

TEST_F(Rpc, AControllerThatIsBackIsFoundAtOnce) {
  auto server = Serve(socket_);
  const auto client = RpcClient::Create(server->endpoint(), "");
  ASSERT_TRUE(WhoAmI(*client));
  server.reset();
  EXPECT_EQ(WhoAmI(*client).error().code(), ErrorCode::kUnavailable);
  EXPECT_EQ(WhoAmI(*client).error().code(), ErrorCode::kUnavailable);
  server = Serve(socket_);
  const auto who = WhoAmI(*client);
  EXPECT_TRUE(who) << who.error().ToString();
}

TEST_F(Rpc, AControllerThatWasRestartedMeanwhileCostsNoCall) {
  auto server = Serve(socket_);
  const auto client = RpcClient::Create(server->endpoint(), "");
  ASSERT_TRUE(WhoAmI(*client));
  server.reset();
  server = Serve(socket_);
  const auto who = WhoAmI(*client);
  EXPECT_TRUE(who) << who.error().ToString();
}

TEST_F(Rpc, ACallThatIsNotAnsweredEndsInTime) {
  auto server = Serve(socket_);
  const auto client = RpcClient::Create(server->endpoint(), "");
  const auto reply = client->WaitJob({}, std::chrono::milliseconds(50));
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code(), ErrorCode::kUnavailable);
  echo_.GoOn();
  EXPECT_TRUE(WhoAmI(*client)) << "on a new connection";
}

TEST_F(Rpc, TwoServersDoNotShareASocket) {
  const auto server = Serve(socket_);
  const auto second = RpcServer::Start(*Endpoint::Parse(socket_), kToken, &echo_);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code(), ErrorCode::kConflict);
  EXPECT_TRUE(WhoAmI(*RpcClient::Create(server->endpoint(), ""))) << "and the first one goes on";
}

}  // namespace
}  // namespace baton
