#include "controller/pool_controller.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <utility>

#include "base/boot_timer.h"
#include "base/file.h"
#include "controller/db/sqlite_database.h"
#include "controller/job_info.h"
#include "pool/wire/convert.h"
#include "pool/wire/pool_store.h"

namespace baton {
namespace {

// Something in the store may be of no use from then on.
bool MakesWaste(const pool::Change& change) {
  if (const auto* checkpoint = std::get_if<pool::Checkpoint>(&change)) return checkpoint->dropped;
  const auto* job = std::get_if<pool::Job>(&change);
  return job != nullptr && pool::IsOver(job->state);
}

constexpr size_t kHistoryShown = 1'000;
constexpr size_t kMaxName = 64;

int64_t WallNowMs() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
}

Result<UniqueFd> TakeLock(const std::string& path) {
  BATON_TRY(UniqueFd file, OpenFile(path, O_RDWR | O_CREAT, 0600));
  const int locked = flock(file.get(), LOCK_EX | LOCK_NB);
  const int error = errno;
  if (locked != 0 && error == EWOULDBLOCK) {
    return MakeError(ErrorCode::kConflict, "{} is held: another controller runs here", path);
  }
  if (locked != 0) return ErrnoError(error, "lock {}", path);
  return file;
}

Error ErrorOf(const pool::Answer& answer) {
  const ErrorCode code =
      answer.code == pool::AnswerCode::kNotFound ? ErrorCode::kNotFound : ErrorCode::kInvalidArgument;
  return {code, answer.text};
}

Result<> CheckSubmission(const pb::SubmitRequest& request) {
  if (request.name().empty() || request.name().size() > kMaxName) {
    return MakeError(ErrorCode::kInvalidArgument, "a job's name has 1 to {} characters", kMaxName);
  }
  if (request.cpus_milli() == 0) return MakeError(ErrorCode::kInvalidArgument, "a job needs some processor time");
  if (request.spec().empty()) return MakeError(ErrorCode::kInvalidArgument, "a job needs a command");
  if (!request.input().empty() && !IsInputName(request.input())) {
    return MakeError(ErrorCode::kInvalidArgument, "'{}' is no name of an input", request.input());
  }
  constexpr uint64_t kMaxMemory = uint64_t{1} << 60;
  if (request.memory_bytes() > kMaxMemory) {
    return MakeError(ErrorCode::kInvalidArgument, "{} bytes of memory", request.memory_bytes());
  }
  return {};
}

// Whoever runs a unit writes there: one user, or, where root runs the pool, any, each below names of his own.
Result<> MakeStore(const PoolStore& store) {
  for (const std::string& directory : {store.root(), store.logs(), store.results(), store.inputs()}) {
    BATON_CHECKED(MakeDirectories(directory));
    constexpr mode_t kForAll = 01777;
    if (geteuid() != 0) continue;
    const int opened = chmod(directory.c_str(), kForAll);
    if (const int error = errno; opened != 0) return ErrnoError(error, "open {} for all users", directory);
  }
  return {};
}

// What another pool has there is not this one's to remove.
Result<> MarkStore(const PoolStore& store, const std::string& pool_id) {
  const auto found = ReadFile(store.mark());
  if (!found && found.error().code() != ErrorCode::kNotFound) return std::unexpected(found.error());
  if (!found) return WriteFileDurably(store.mark(), pool_id, 0644);
  if (*found == pool_id) return {};
  return MakeError(ErrorCode::kConflict, "{} is the store of another pool, {}; this is pool {}: give another --store",
                   store.root(), *found, pool_id);
}

// What is known of the user comes from the kernel; only root may name another one.
Result<std::string> SubmittedBy(const Caller& caller, const pb::SubmitRequest& request) {
  pb::SubmittedJob submitted;
  submitted.set_job(request.spec());
  submitted.set_input(request.input());
  if (caller.user) submitted.set_user(*caller.user);
  if (request.has_user()) {
    if (caller.user != uid_t{0} && caller.user != uid_t{request.user()}) {
      return MakeError(ErrorCode::kInvalidArgument, "only root, over a UNIX socket, may submit as user {}",
                       request.user());
    }
    submitted.set_user(request.user());
  }
  return submitted.SerializeAsString();
}

}  // namespace

Result<std::unique_ptr<PoolController>> PoolController::Open(const ControllerOptions& options) {
  BATON_CHECKED(MakeDirectories(options.directory));
  BATON_CHECKED(MakeStore(PoolStore(options.store_dir)));
  BATON_TRY(UniqueFd lock, TakeLock(options.directory + "/lock"));
  BATON_TRY(auto database, OpenSqliteDatabase(options.directory + "/pool.db"));
  BATON_CHECKED(MarkStore(PoolStore(options.store_dir), database->pool_id()));
  BATON_TRY(const auto rows, database->Load());
  auto state = pool::RecoverController(options.terms, options.limits, rows, BootNow());
  return std::unique_ptr<PoolController>(
      new PoolController(options, std::move(lock), std::move(database), std::move(state)));
}

PoolController::PoolController(ControllerOptions options, UniqueFd lock, std::unique_ptr<Database> database,
                               pool::ControllerState state)
    : options_(std::move(options)),
      lock_(std::move(lock)),
      database_(std::move(database)),
      state_(std::move(state)),
      tidier_(options_.store_dir, [this] { return Needs(); }),
      ticker_([this](const std::stop_token& stop) { TickAll(stop); }) {}

PoolController::~PoolController() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  changed_.notify_all();
  ticker_.request_stop();
  changed_.notify_all();
}

std::optional<Error> PoolController::failed() {
  const std::lock_guard lock(mutex_);
  return failed_;
}

void PoolController::TickAll(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  while (!stop.stop_requested() && !failed_) {
    static_cast<void>(Apply(pool::ControllerTick{}));
    // Until it is to end; changes of others do not matter.
    changed_.wait_for(lock, stop, pool::kControllerTick, [] { return false; });
  }
}

Result<std::vector<pool::ControllerAction>> PoolController::Apply(const pool::ControllerEvent& event) {
  if (failed_) return *failed_;
  pool::Decision decision = pool::Decide(state_, event, BootNow());
  if (!decision.changes.empty()) {
    if (auto committed = database_->Commit(decision.changes, WallNowMs()); !committed) {
      failed_ = committed.error();
      changed_.notify_all();
      return committed.Fail("the database cannot be written");
    }
    changed_.notify_all();
    if (std::ranges::any_of(decision.changes, MakesWaste)) tidier_.Wake();
  }
  return std::move(decision.actions);
}

// The unit that still runs tidies its own directory; of others' what is in the catalogue is needed.
StoreNeeds PoolController::Needs() {
  const std::lock_guard lock(mutex_);
  StoreNeeds needs;
  for (const auto& [id, job] : state_.jobs) {
    const pool::UnitKey newest{.job = id, .epoch = job.epoch};
    needs.newest[id] = job.epoch;
    needs.logs.insert(newest);
    if (job.state == pool::JobState::kEnded) {
      needs.results.insert({.job = id, .epoch = job.result_epoch});
      continue;
    }
    // Of one that failed or was cancelled, too: its workspace may be wanted.
    for (const auto& [ref, checkpoint] : state_.checkpoints[id]) {
      needs.checkpoints.insert({.job = id, .epoch = ref.epoch});
    }
    if (pool::IsOver(job.state)) continue;
    needs.checkpoints.insert(newest);
    needs.results.insert(newest);
    pb::SubmittedJob submitted;
    if (submitted.ParseFromString(job.spec)) needs.inputs.insert(submitted.input());
  }
  return needs;
}

Result<pool::Answer> PoolController::Ask(const pool::ControllerEvent& event) {
  BATON_TRY(const auto actions, Apply(event));
  for (const pool::ControllerAction& action : actions) {
    const auto* answer = std::get_if<pool::Answer>(&action);
    if (answer == nullptr) continue;
    if (answer->code != pool::AnswerCode::kOk) return ErrorOf(*answer);
    return *answer;
  }
  return MakeError(ErrorCode::kInternal, "a request was not answered");
}

Result<pb::WorkerOrders> PoolController::Report(const Caller& /*caller*/, const pb::WorkerReport& request) {
  BATON_TRY(pool::WorkerReport report, FromWire(request));
  if (!request.pool_id().empty() && request.pool_id() != pool_id()) {
    return MakeError(ErrorCode::kInvalidArgument, "worker {} belongs to pool {}, this is pool {}", report.worker,
                     request.pool_id(), pool_id());
  }
  const std::lock_guard lock(mutex_);
  BATON_TRY(const auto actions, Apply(pool::ReportCame{.request = 0, .report = std::move(report)}));
  for (const pool::ControllerAction& action : actions) {
    const auto* send = std::get_if<pool::SendOrders>(&action);
    if (send == nullptr) continue;
    pb::WorkerOrders orders = ToWire(send->orders);
    orders.set_pool_id(pool_id());
    return orders;
  }
  return MakeError(ErrorCode::kUnavailable, "this report is older than one that came before");
}

Result<pb::GetPoolReply> PoolController::GetPool(const Caller& /*caller*/, const pb::GetPoolRequest& /*request*/) {
  pb::GetPoolReply reply;
  reply.set_pool_id(pool_id());
  reply.set_store_dir(options_.store_dir);
  return reply;
}

Result<pb::SubmitReply> PoolController::Submit(const Caller& caller, const pb::SubmitRequest& request) {
  BATON_CHECKED(CheckSubmission(request));
  BATON_TRY(const std::string spec, SubmittedBy(caller, request));
  pool::Job job{.id = 0,
                .name = request.name(),
                .needs = {.cpus_milli = request.cpus_milli(), .memory_bytes = request.memory_bytes()},
                .retry = {.retries = request.retries()},
                .spec = spec};
  const std::lock_guard lock(mutex_);
  BATON_TRY(const pool::Answer answer, Ask(pool::SubmitAsked{.request = 0, .job = std::move(job)}));
  pb::SubmitReply reply;
  reply.set_job(answer.job);
  return reply;
}

Result<const pool::Job*> PoolController::FindJob(uint64_t id) const {
  const auto found = state_.jobs.find(id);
  if (found == state_.jobs.end()) return MakeError(ErrorCode::kNotFound, "there is no job {}", id);
  return &found->second;
}

Result<pb::JobInfo> PoolController::InfoOf(const pool::Job& job) {
  BATON_TRY(const RowTimes times, database_->JobTimes(job.id));
  return ToInfo(state_, job, times);
}

Result<pb::ListJobsReply> PoolController::ListJobs(const Caller& /*caller*/, const pb::ListJobsRequest& /*request*/) {
  const std::lock_guard lock(mutex_);
  pb::ListJobsReply reply;
  for (const auto& [id, job] : state_.jobs) {
    BATON_TRY(*reply.add_jobs(), InfoOf(job));
  }
  return reply;
}

Result<pb::ShowJobReply> PoolController::ShowJob(const Caller& /*caller*/, const pb::ShowJobRequest& request) {
  const std::lock_guard lock(mutex_);
  BATON_TRY(const pool::Job* job, FindJob(request.job()));
  pb::ShowJobReply reply;
  BATON_TRY(*reply.mutable_job(), InfoOf(*job));
  BATON_TRY(const auto attempts, database_->Attempts(job->id));
  for (const AttemptRow& row : attempts) *reply.add_attempts() = ToInfo(row);
  BATON_TRY(const auto checkpoints, database_->Checkpoints(job->id));
  for (const CheckpointRow& row : checkpoints) *reply.add_checkpoints() = ToInfo(row);
  BATON_TRY(const auto history, database_->History(job->id, kHistoryShown));
  for (const HistoryRow& row : history) *reply.add_history() = ToInfo(row);
  reply.set_spec(job->spec);
  reply.set_store_dir(options_.store_dir);
  return reply;
}

Result<pb::ChangeJobReply> PoolController::ChangeJob(const Caller& /*caller*/, const pb::ChangeJobRequest& request) {
  pool::ControllerEvent event;
  switch (request.change_case()) {
    case pb::ChangeJobRequest::kCancel:
      event = pool::CancelAsked{.request = 0, .job = request.job()};
      break;
    case pb::ChangeJobRequest::kCheckpoint:
      event = pool::CheckpointAsked{.request = 0, .job = request.job()};
      break;
    case pb::ChangeJobRequest::kMove:
      event = pool::MoveAsked{.request = 0, .job = request.job(), .to = request.move().to()};
      break;
    default:
      return MakeError(ErrorCode::kNotSupported, "this controller does not know the request");
  }
  const std::lock_guard lock(mutex_);
  BATON_TRY(const pool::Answer answer, Ask(event));
  pb::ChangeJobReply reply;
  reply.set_request(answer.number);
  return reply;
}

Result<pb::WaitJobReply> PoolController::WaitJob(const Caller& /*caller*/, const pb::WaitJobRequest& request) {
  constexpr uint32_t kMaxWaitMs = 60'000;
  const auto until =
      std::chrono::steady_clock::now() + std::chrono::milliseconds(std::min(request.max_wait_ms(), kMaxWaitMs));
  std::unique_lock lock(mutex_);
  BATON_TRY(const pool::Job* job, FindJob(request.job()));
  // Jobs are never removed, so that the pointer stays good.
  changed_.wait_until(lock, until, [&] {
    const bool done = request.request() > 0 && job->request_done >= request.request();
    return done || pool::IsOver(job->state) || failed_ || ending_;
  });
  if (failed_) return *failed_;
  pb::WaitJobReply reply;
  BATON_TRY(*reply.mutable_job(), InfoOf(*job));
  return reply;
}

Result<pb::ListWorkersReply> PoolController::ListWorkers(const Caller& /*caller*/,
                                                         const pb::ListWorkersRequest& /*request*/) {
  const std::lock_guard lock(mutex_);
  pb::ListWorkersReply reply;
  for (const auto& [id, worker] : state_.workers) *reply.add_workers() = ToInfo(state_, worker, BootNow());
  return reply;
}

Result<pb::DrainWorkerReply> PoolController::DrainWorker(const Caller& /*caller*/,
                                                         const pb::DrainWorkerRequest& request) {
  const std::lock_guard lock(mutex_);
  BATON_CHECKED(Ask(pool::DrainAsked{.request = 0, .worker = request.worker(), .drain = request.drain()}));
  return pb::DrainWorkerReply();
}

}  // namespace baton
