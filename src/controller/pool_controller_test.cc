// The controller with its database and its socket; workers are played.
#include "controller/pool_controller.h"

#include <gtest/gtest.h>
#include <sqlite3.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "base/test_dir.h"
#include "pool/wire/convert.h"
#include "pool/wire/pool_store.h"
#include "rpc/client.h"

namespace baton {
namespace {

constexpr std::chrono::seconds kPatience(20);

class ControllerProgram : public testing::Test {
 protected:
  void SetUp() override {
    endpoint_ = *Endpoint::Parse("unix:" + directory_ / "pool.sock");
    client_ = RpcClient::Create(endpoint_, "");
    Start();
  }
  void TearDown() override { Stop(); }
  ControllerOptions Options() const {
    return {.directory = directory_ / "controller", .store_dir = directory_ / "store"};
  }
  void Start() {
    auto controller = PoolController::Open(Options());
    ASSERT_TRUE(controller) << controller.error().ToString();
    controller_ = std::move(*controller);
    auto server = RpcServer::Start(endpoint_, "", controller_.get());
    ASSERT_TRUE(server) << server.error().ToString();
    server_ = std::move(*server);
  }
  void Stop() {
    server_.reset();
    controller_.reset();
  }

  uint64_t Submit(uint32_t cpus_milli = 1'000) {
    pb::SubmitRequest request;
    request.set_name("sim");
    request.set_cpus_milli(cpus_milli);
    request.set_memory_bytes(1 << 20);
    request.set_spec("spec");
    const auto reply = client_->Submit(request, kPatience);
    EXPECT_TRUE(reply) << reply.error().ToString();
    return reply ? reply->job() : 0;
  }
  Result<pool::WorkerOrders> Report(const std::string& worker, std::vector<pool::KeeperReport> keepers = {}) {
    pb::WorkerReport report = ToWire({.worker = worker,
                                      .incarnation = 1,
                                      .sequence = ++sequence_,
                                      .boot_id = "b",
                                      .capacity = {.cpus_milli = 4'000, .memory_bytes = uint64_t{4} << 30},
                                      .keepers = std::move(keepers)});
    report.set_pool_id(pool_id_);
    BATON_TRY(const auto orders, client_->Report(report, kPatience));
    pool_id_ = orders.pool_id();
    return FromWire(orders);
  }
  void Tell(const std::string& worker, std::vector<pool::KeeperReport> keepers = {}) {
    const auto orders = Report(worker, std::move(keepers));
    EXPECT_TRUE(orders) << orders.error().ToString();
  }
  static pool::KeeperReport Unit(uint64_t epoch, pool::UnitState state) {
    return {.unit = {.job = 1, .epoch = epoch}, .state = state, .renew = true};
  }
  pb::JobInfo Info(uint64_t job) {
    pb::ShowJobRequest request;
    request.set_job(job);
    const auto reply = client_->ShowJob(request, kPatience);
    EXPECT_TRUE(reply) << reply.error().ToString();
    return reply ? reply->job() : pb::JobInfo();
  }

  TestDir directory_;
  std::string pool_id_;
  uint64_t sequence_ = 0;
  Endpoint endpoint_;
  std::unique_ptr<RpcClient> client_;
  std::unique_ptr<PoolController> controller_;
  std::unique_ptr<RpcServer> server_;
};

TEST_F(ControllerProgram, AJobGoesItsWay) {
  EXPECT_EQ(Submit(), 1U);
  EXPECT_EQ(Info(1).state(), pb::JOB_QUEUED);
  const auto orders = Report("a");
  ASSERT_TRUE(orders) << orders.error().ToString();
  ASSERT_EQ(orders->starts.size(), 1U);
  pb::SubmittedJob submitted;
  ASSERT_TRUE(submitted.ParseFromString(orders->starts[0].spec));
  EXPECT_EQ(submitted.job(), "spec");
  EXPECT_EQ(submitted.user(), geteuid()) << "as the kernel says";
  EXPECT_EQ(Report("a", {Unit(1, pool::UnitState::kRunning)})->units.at(0).verdict, pool::Verdict::kGrant);
  EXPECT_EQ(Info(1).worker(), "a");
  EXPECT_EQ(Info(1).unit(), pb::RUNNING);
  pool::KeeperReport ended = Unit(1, pool::UnitState::kEnded);
  ended.exit_code = 7;
  EXPECT_EQ(Report("a", {ended})->units.at(0).verdict, pool::Verdict::kForget);
  EXPECT_EQ(Info(1).state(), pb::JOB_ENDED);
  EXPECT_EQ(Info(1).exit_code(), 7);
  EXPECT_GE(Info(1).changed_ms(), Info(1).created_ms());
}

TEST_F(ControllerProgram, WhatItKnewIsThereAfterARestart) {
  Submit();
  Tell("a");
  Tell("a", {Unit(1, pool::UnitState::kRunning)});
  const std::string pool = pool_id_;
  Stop();
  EXPECT_EQ(client_->ListJobs({}, kPatience).error().code(), ErrorCode::kUnavailable);
  Start();
  EXPECT_EQ(Info(1).state(), pb::JOB_ACTIVE);
  EXPECT_EQ(Report("a", {Unit(1, pool::UnitState::kRunning)})->units.at(0).verdict, pool::Verdict::kGrant);
  EXPECT_EQ(pool_id_, pool);
  EXPECT_EQ(Info(1).epoch(), 1U);
}

TEST_F(ControllerProgram, WaitingEndsWithTheJob) {
  Submit();
  Tell("a");
  auto waiting = std::async(std::launch::async, [&] {
    pb::WaitJobRequest request;
    request.set_job(1);
    request.set_max_wait_ms(60'000);
    return client_->WaitJob(request, kPatience);
  });
  Tell("a", {Unit(1, pool::UnitState::kEnded)});
  const auto reply = waiting.get();
  ASSERT_TRUE(reply) << reply.error().ToString();
  EXPECT_EQ(reply->job().state(), pb::JOB_ENDED);
}

TEST_F(ControllerProgram, WaitingForACheckpoint) {
  Submit();
  Tell("a");
  pb::ChangeJobRequest change;
  change.set_job(1);
  change.mutable_checkpoint();
  const auto changed = client_->ChangeJob(change, kPatience);
  ASSERT_TRUE(changed) << changed.error().ToString();
  EXPECT_EQ(Report("a", {Unit(1, pool::UnitState::kRunning)})->units.at(0).request, changed->request());
  pb::WaitJobRequest request;
  request.set_job(1);
  request.set_request(changed->request());
  EXPECT_EQ(client_->WaitJob(request, kPatience)->job().request_done(), 0U) << "not yet, and it was not to wait";
  pool::KeeperReport done = Unit(1, pool::UnitState::kRunning);
  done.request_done = changed->request();
  done.offers = {{.number = 1, .manifest_hash = "h", .bytes = 5}};
  EXPECT_TRUE(Report("a", {done})->units.at(0).answers.at(0).accepted);
  request.set_max_wait_ms(60'000);
  EXPECT_EQ(client_->WaitJob(request, kPatience)->job().request_done(), changed->request());
  pb::ShowJobRequest show;
  show.set_job(1);
  const auto shown = client_->ShowJob(show, kPatience);
  ASSERT_EQ(shown->checkpoints_size(), 1);
  EXPECT_EQ(shown->checkpoints(0).bytes(), 5U);
  EXPECT_EQ(shown->attempts(0).state(), "running");
  EXPECT_GT(shown->history_size(), 2);
}

TEST_F(ControllerProgram, CancelMoveAndDrain) {
  Submit();
  Tell("a");
  Tell("b");
  pb::ChangeJobRequest move;
  move.set_job(1);
  move.mutable_move()->set_to("nobody");
  EXPECT_EQ(client_->ChangeJob(move, kPatience).error().code(), ErrorCode::kNotFound);
  move.mutable_move()->set_to("b");
  EXPECT_TRUE(client_->ChangeJob(move, kPatience));
  EXPECT_TRUE(Report("a", {Unit(1, pool::UnitState::kRunning)})->units.at(0).stop);
  pb::DrainWorkerRequest drain;
  drain.set_worker("a");
  drain.set_drain(true);
  EXPECT_TRUE(client_->DrainWorker(drain, kPatience));
  const auto workers = client_->ListWorkers({}, kPatience);
  ASSERT_EQ(workers->workers_size(), 2);
  EXPECT_TRUE(workers->workers(0).draining());
  EXPECT_TRUE(workers->workers(0).present());
  pb::ChangeJobRequest cancel;
  cancel.set_job(1);
  cancel.mutable_cancel();
  EXPECT_TRUE(client_->ChangeJob(cancel, kPatience));
  EXPECT_EQ(Report("a", {Unit(1, pool::UnitState::kRunning)})->units.at(0).verdict, pool::Verdict::kKill);
  Tell("a", {Unit(1, pool::UnitState::kDied)});
  EXPECT_EQ(Info(1).state(), pb::JOB_CANCELLED);
}

TEST_F(ControllerProgram, TimePassesByItself) {
  Submit();
  Tell("a");
  Tell("a", {Unit(1, pool::UnitState::kRunning)});
  Stop();
  ControllerOptions options = Options();
  options.terms = {.lease = pool::Span(300), .stop_bound = pool::Span(50), .drift_bound = pool::Span(50)};
  controller_ = *PoolController::Open(options);
  server_ = *RpcServer::Start(endpoint_, "", controller_.get());
  // "b" is there all the time; "a" is not heard of.
  const auto until = std::chrono::steady_clock::now() + kPatience;
  while (Info(1).epoch() == 1 && std::chrono::steady_clock::now() < until) ASSERT_TRUE(Report("b"));
  EXPECT_EQ(Info(1).worker(), "b");
}

TEST_F(ControllerProgram, NonsenseIsRefused) {
  pb::SubmitRequest request;
  EXPECT_EQ(client_->Submit(request, kPatience).error().code(), ErrorCode::kInvalidArgument);
  request.set_name("x");
  request.set_spec("spec");
  EXPECT_EQ(client_->Submit(request, kPatience).error().code(), ErrorCode::kInvalidArgument) << "no processor";
  EXPECT_EQ(client_->ChangeJob({}, kPatience).error().code(), ErrorCode::kNotSupported);
  pb::ShowJobRequest show;
  show.set_job(99);
  EXPECT_EQ(client_->ShowJob(show, kPatience).error().code(), ErrorCode::kNotFound);
  pool_id_ = "another";
  EXPECT_EQ(Report("a").error().code(), ErrorCode::kInvalidArgument);
  pool_id_.clear();
  Tell("a");
  sequence_ -= 1;
  EXPECT_EQ(Report("a").error().code(), ErrorCode::kUnavailable) << "an old report";
}

TEST_F(ControllerProgram, TwoDoNotShareADirectory) {
  const auto second = PoolController::Open(Options());
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code(), ErrorCode::kConflict);
}

TEST_F(ControllerProgram, TwoPoolsDoNotShareAStore) {
  ControllerOptions options = Options();
  options.directory = directory_ / "other";
  const auto second = PoolController::Open(options);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code(), ErrorCode::kConflict);
}

TEST_F(ControllerProgram, ItAnswersNobodyWhenItCannotWrite) {
  Submit();
  ASSERT_FALSE(controller_->failed());
  // Its table goes away under it.
  sqlite3* raw = nullptr;
  ASSERT_EQ(sqlite3_open((directory_ / "controller/pool.db").c_str(), &raw), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(raw, "DROP TABLE history", nullptr, nullptr, nullptr), SQLITE_OK);
  sqlite3_close(raw);
  EXPECT_FALSE(Report("a")) << "the assignment cannot be written";
  ASSERT_TRUE(controller_->failed());
  EXPECT_FALSE(client_->DrainWorker({}, kPatience));
  Stop();
  sqlite3_open((directory_ / "controller/pool.db").c_str(), &raw);
  EXPECT_EQ(sqlite3_exec(raw,
                         "CREATE TABLE history (id INTEGER PRIMARY KEY, at_ms INTEGER, job INTEGER, epoch INTEGER, "
                         "worker TEXT, text TEXT)",
                         nullptr, nullptr, nullptr),
            SQLITE_OK);
  sqlite3_close(raw);
  Start();
  EXPECT_EQ(Info(1).state(), pb::JOB_QUEUED) << "nothing of the failed decision is there";
}

TEST_F(ControllerProgram, OldCheckpointsOfOldEpochsAreRemoved) {
  Submit();
  Tell("a");
  const std::string old = PoolStore(Options().store_dir).unit({.job = 1, .epoch = 1});
  std::filesystem::create_directories(old + "/checkpoint-000001");
  pool::KeeperReport dead = Unit(1, pool::UnitState::kDied);
  dead.offers = {{.number = 1, .manifest_hash = "h"}};
  Tell("a", {dead});
  for (uint64_t number = 1; number <= 3; ++number) {
    EXPECT_TRUE(std::filesystem::exists(old)) << "still one of the newest three";
    pool::KeeperReport offering = Unit(2, pool::UnitState::kRunning);
    offering.offers = {{.number = number, .manifest_hash = "h"}};
    Tell("a", {offering});
  }
  // By a thread of its own.
  const auto until = std::chrono::steady_clock::now() + kPatience;
  while (std::filesystem::exists(old) && std::chrono::steady_clock::now() < until) std::this_thread::yield();
  EXPECT_FALSE(std::filesystem::exists(old));
}

TEST_F(ControllerProgram, OnlyRootSaysAsWhomAJobRuns) {
  pb::SubmitRequest request;
  request.set_name("sim");
  request.set_cpus_milli(1'000);
  request.set_memory_bytes(1 << 20);
  request.set_spec("spec");
  request.set_user(geteuid() + 1);
  const auto reply = client_->Submit(request, kPatience);
  EXPECT_EQ(reply.has_value(), geteuid() == 0);
  request.clear_user();
  request.set_input("../x");
  EXPECT_EQ(client_->Submit(request, kPatience).error().code(), ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace baton
