// PoolController: the decisions of pool/decide with a clock, a database and callers around them.
//
//   STATE/controller/            mode 0700
//     lock                       held (flock) for as long as a controller uses the rest
//     pool.db                    what survives it
//     token                      for callers over loopback, mode 0600
//     pool.sock                  unless it listens elsewhere
//   STORE/                       pool/wire/pool_store.h; shared with all workers
//
// Every event is decided under one lock, committed, and only then answered. If a commit fails, nothing is answered any
// more and failed() says why: the program is to end, and to start again from what the database has.
//
// Thread-safety: all methods may be called from any thread.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "controller/db/database.h"
#include "controller/store_tidier.h"
#include "pool/decide/controller.h"
#include "rpc/server.h"

namespace baton {

struct ControllerOptions {
  std::string directory;  // STATE/controller, absolute
  std::string store_dir;  // absolute; every worker reaches it under this name
  pool::LeaseTerms terms = {};
  pool::ControllerLimits limits = {};
};

class PoolController : public PoolHandler {
 public:
  // kConflict if another controller uses the directory. Begins to decide at once, by the clock, too.
  static Result<std::unique_ptr<PoolController>> Open(const ControllerOptions& options);
  ~PoolController() override;

  const std::string& pool_id() const { return database_->pool_id(); }
  // Why it cannot go on; nothing: all is well.
  std::optional<Error> failed();

  Result<pb::WorkerOrders> Report(const Caller& caller, const pb::WorkerReport& request) override;
  Result<pb::GetPoolReply> GetPool(const Caller& caller, const pb::GetPoolRequest& request) override;
  Result<pb::SubmitReply> Submit(const Caller& caller, const pb::SubmitRequest& request) override;
  Result<pb::ListJobsReply> ListJobs(const Caller& caller, const pb::ListJobsRequest& request) override;
  Result<pb::ShowJobReply> ShowJob(const Caller& caller, const pb::ShowJobRequest& request) override;
  Result<pb::ChangeJobReply> ChangeJob(const Caller& caller, const pb::ChangeJobRequest& request) override;
  Result<pb::WaitJobReply> WaitJob(const Caller& caller, const pb::WaitJobRequest& request) override;
  Result<pb::ListWorkersReply> ListWorkers(const Caller& caller, const pb::ListWorkersRequest& request) override;
  Result<pb::DrainWorkerReply> DrainWorker(const Caller& caller, const pb::DrainWorkerRequest& request) override;

 private:
  PoolController(ControllerOptions options, UniqueFd lock, std::unique_ptr<Database> database,
                 pool::ControllerState state);

  // What is to be done, after it was committed. REQUIRES: the lock.
  Result<std::vector<pool::ControllerAction>> Apply(const pool::ControllerEvent& event);
  // The same for what a user asks for; the answer's refusal is the error. REQUIRES: the lock.
  Result<pool::Answer> Ask(const pool::ControllerEvent& event);
  // What is still needed of the store.
  StoreNeeds Needs();
  Result<pb::JobInfo> InfoOf(const pool::Job& job);
  Result<const pool::Job*> FindJob(uint64_t id) const;
  void TickAll(const std::stop_token& stop);

  const ControllerOptions options_;
  const UniqueFd lock_;
  const std::unique_ptr<Database> database_;
  std::mutex mutex_;                     // for all below, and the database
  std::condition_variable_any changed_;  // rows have changed, or it is ending
  pool::ControllerState state_;
  std::optional<Error> failed_;
  bool ending_ = false;
  StoreTidier tidier_;
  std::jthread ticker_;
};

}  // namespace baton
