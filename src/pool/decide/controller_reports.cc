#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "pool/decide/controller_step.h"
#include "pool/decide/placement.h"

namespace baton::pool {

// False: it is older than what is known; nothing may be concluded from it, and nothing is answered.
bool ControllerStep::MeetWorker(const WorkerReport& report) {
  const auto [found, is_new] = state_.workers.try_emplace(report.worker, Worker{.id = report.worker});
  Worker& worker = found->second;
  ControllerState::LiveWorker& live = state_.live_workers[report.worker];
  if (report.incarnation < worker.incarnation) return false;
  if (report.incarnation == worker.incarnation && report.sequence <= live.sequence) return false;
  if (worker.boot_id != report.boot_id) EndRebooted(report);
  if (worker.incarnation != report.incarnation || worker.boot_id != report.boot_id) {
    worker.incarnation = report.incarnation;
    worker.boot_id = report.boot_id;
    Put(worker);
    decision_.changes.emplace_back(HistoryLine{.worker = report.worker, .text = is_new ? "joined" : "is back"});
  }
  live.seen_at = now_;
  live.sequence = report.sequence;
  live.capacity = report.capacity;
  live.leaving = report.leaving;
  RememberUnits(report);
  return true;
}

std::vector<uint64_t> ControllerStep::UnfinishedJobs() const {
  std::vector<uint64_t> ids;
  for (const auto& [id, live] : state_.live) ids.push_back(id);
  return ids;
}

// Nothing outlives a reboot, so nobody has to wait for a lease.
void ControllerStep::EndRebooted(const WorkerReport& report) {
  for (auto& [id, job] : state_.jobs) {
    // One that is to be cancelled is not granted anything any more; it is when the last grant is surely over.
    if (job.state != JobState::kActive || job.cancel_wanted) continue;
    const Attempt& attempt = state_.attempts.at(id);
    if (attempt.worker != report.worker || attempt.boot_id == report.boot_id) continue;
    EndAttempt(job, AttemptEnd::kRebooted, "the machine was booted again");
  }
}

void ControllerStep::RememberUnits(const WorkerReport& report) {
  auto& units = state_.live_workers[report.worker].units;
  units.clear();
  for (const KeeperReport& keeper : report.keepers) units[keeper.unit] = keeper.state;
}

void ControllerStep::operator()(const ReportCame& came) {
  const WorkerReport& report = came.report;
  if (!report.partial && !MeetWorker(report)) return;
  WorkerOrders orders{.worker = report.worker,
                      .incarnation = report.incarnation,
                      .sequence = report.sequence,
                      .partial = report.partial,
                      .units = {},
                      .starts = {}};
  for (const KeeperReport& unit : report.keepers) orders.units.push_back(OrderFor(report, unit));
  Schedule();
  if (!report.partial) AddStarts(report, &orders);
  decision_.actions.emplace_back(SendOrders{.request = came.request, .orders = std::move(orders)});
}

bool ControllerStep::IsCurrent(const UnitKey& unit) const {
  const auto job = state_.jobs.find(unit.job);
  return job != state_.jobs.end() && job->second.state == JobState::kActive && job->second.epoch == unit.epoch;
}

UnitOrder ControllerStep::OrderFor(const WorkerReport& report, const KeeperReport& unit) {
  UnitOrder order{.unit = unit.unit};
  const auto job = state_.jobs.find(unit.unit.job);
  // What this database never heard of is not ours to kill: it may have been put back from an old copy.
  if (job == state_.jobs.end() || unit.unit.epoch > job->second.epoch) return order;
  if (!IsCurrent(unit.unit)) {
    order.verdict = IsOver(unit.state) ? Verdict::kForget : Verdict::kKill;
    for (const CheckpointOffer& offer : unit.offers) order.answers.push_back({.number = offer.number});
    return order;
  }
  Attempt& attempt = state_.attempts.at(unit.unit.job);
  if (attempt.worker != report.worker) return order;
  return OrderForCurrent(job->second, attempt, unit);
}

UnitOrder ControllerStep::OrderForCurrent(Job& job, Attempt& attempt, const KeeperReport& unit) {
  UnitOrder order{.unit = unit.unit};
  NoteProgress(job, attempt, unit);
  for (const CheckpointOffer& offer : unit.offers) {
    order.answers.push_back({.number = offer.number, .accepted = Accept(job, offer, unit.unit.epoch)});
  }
  NoteRequest(job, unit);
  switch (unit.state) {
    case UnitState::kPreparing:
    case UnitState::kRunning:
    case UnitState::kFrozen:
      OrderForAlive(job, unit, &order);
      return order;
    case UnitState::kStopped:
      ConcludeStopped(job, unit);
      order.verdict = Verdict::kKill;
      return order;
    case UnitState::kEnded:
      ConcludeEnded(job, unit);
      break;
    case UnitState::kDied:
      EndAttempt(job, AttemptEnd::kDied, unit.detail);
      break;
    case UnitState::kRefused:
      state_.live[job.id].avoid.insert(attempt.worker);
      EndAttempt(job, AttemptEnd::kRefused, unit.detail);
      break;
  }
  order.verdict = Verdict::kForget;
  return order;
}

void ControllerStep::OrderForAlive(const Job& job, const KeeperReport& unit, UnitOrder* order) {
  // Its worker lives and it does not ask: it hangs, and may run without a lease. Only its worker can make sure.
  // While it is being made nothing runs, and reading a large checkpoint takes time.
  const bool is_made =
      state_.attempts.at(job.id).state == AttemptState::kAssigned && unit.state == UnitState::kPreparing;
  const bool hangs = !unit.renew && (is_made ? IsOverdue(job.id, state_.terms.prepare_max) : IsDue(job.id));
  if (job.cancel_wanted || hangs) {
    order->verdict = Verdict::kKill;
  } else if (unit.renew) {
    order->verdict = Verdict::kGrant;
    // A new unit does not answer what an older one has answered.
    order->request = job.request > job.request_done ? job.request : 0;
    order->stop = job.move_wanted;
    state_.live[job.id].granted_at = now_;
  }
}

void ControllerStep::NoteProgress(Job& job, Attempt& attempt, const KeeperReport& unit) {
  ControllerState::Live& live = state_.live[job.id];
  const bool thawed = live.unit == UnitState::kFrozen && unit.state != UnitState::kFrozen;
  const bool froze = live.unit != UnitState::kFrozen && unit.state == UnitState::kFrozen;
  live.unit = unit.state;
  // Said once, however often it fails in the same way.
  if (std::exchange(live.checkpoint_error, unit.checkpoint_error) != unit.checkpoint_error) {
    if (!unit.checkpoint_error.empty()) Note(attempt, "checkpoint failed: " + unit.checkpoint_error);
  }
  attempt.frozen = std::max(attempt.frozen, unit.frozen);
  const bool runs =
      unit.state == UnitState::kRunning || unit.state == UnitState::kStopped || unit.state == UnitState::kEnded;
  if (attempt.state == AttemptState::kAssigned && runs) {
    attempt.state = AttemptState::kRunning;
    attempt.resumed_from = unit.resumed_from;
    live.avoid.clear();
    Note(attempt, unit.resumed_from
                      ? fmt::format("runs, from checkpoint {}.{}", unit.resumed_from->epoch, unit.resumed_from->number)
                      : std::string("runs, from the beginning"));
    Put(attempt);
  } else if (attempt.state == AttemptState::kRunning && (thawed || froze)) {
    Note(attempt, froze ? "paused: its lease had ended" : "goes on");
    Put(attempt);
  }
}

void ControllerStep::NoteRequest(Job& job, const KeeperReport& unit) {
  if (unit.request_done <= job.request_done) return;
  job.request_done = std::min(unit.request_done, job.request);
  job.request_error = unit.request_error;
  // The checkpoint with which it was to stop: the job stays where it is.
  if (job.move_wanted && !unit.request_error.empty() && job.request_done == job.request) {
    job.move_wanted = false;
    job.move_to.clear();
    NoteJob(job, "is not moved");
  }
  Put(job);
}

// The unit is the current one. An offer that comes again has the same answer.
bool ControllerStep::Accept(Job& job, const CheckpointOffer& offer, uint64_t epoch) {
  auto& known = state_.checkpoints[job.id];
  const CheckpointRef ref{.epoch = epoch, .number = offer.number};
  if (const auto found = known.find(ref); found != known.end()) {
    return found->second.manifest_hash == offer.manifest_hash;
  }
  // One that is older than what is there was accepted and dropped, or came too late to be of use.
  if (!known.empty() && ref < known.rbegin()->first) return false;
  const Checkpoint& checkpoint = known
                                     .emplace(ref, Checkpoint{.job = job.id,
                                                              .ref = ref,
                                                              .manifest_hash = offer.manifest_hash,
                                                              .bytes = offer.bytes,
                                                              .pause = offer.pause,
                                                              .total = offer.total})
                                     .first->second;
  decision_.changes.emplace_back(checkpoint);
  job.failures = 0;
  job.stuck = 0;
  job.resume_below.reset();
  Put(job);
  DropOld(job);
  return true;
}

void ControllerStep::DropOld(Job& job) {
  auto& known = state_.checkpoints[job.id];
  while (known.size() > state_.limits.checkpoints_kept) {
    Checkpoint oldest = known.begin()->second;
    known.erase(known.begin());
    oldest.dropped = true;
    decision_.changes.emplace_back(oldest);
    decision_.actions.emplace_back(RemoveCheckpoint{.job = job.id, .ref = oldest.ref});
  }
}

void ControllerStep::ConcludeStopped(Job& job, const KeeperReport& unit) {
  const CheckpointRef last{.epoch = unit.unit.epoch, .number = unit.final_checkpoint};
  const bool saved = state_.checkpoints[job.id].contains(last);
  EndAttempt(job, saved ? AttemptEnd::kMoved : AttemptEnd::kDied, saved ? "" : "its last checkpoint is not there");
}

// What the worker should have, and does not know of.
void ControllerStep::AddStarts(const WorkerReport& report, WorkerOrders* orders) {
  const auto& units = state_.live_workers[report.worker].units;
  for (auto& [id, live] : state_.live) {
    Job& job = state_.jobs.at(id);
    // One that is to be cancelled is not granted anything any more; it is when the last grant is surely over.
    if (job.state != JobState::kActive || job.cancel_wanted) continue;
    const Attempt& attempt = state_.attempts.at(id);
    if (attempt.worker != report.worker || units.contains(attempt.unit)) continue;
    live.granted_at = now_;
    orders->starts.push_back({.unit = attempt.unit, .spec = job.spec, .resume_from = Candidates(state_, job)});
  }
}

}  // namespace baton::pool
