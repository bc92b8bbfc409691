#include "controller/job_info.h"

#include "pool/decide/placement.h"

namespace baton {
namespace {

pb::JobState ToInfo(pool::JobState state) {
  switch (state) {
    case pool::JobState::kQueued:
      return pb::JOB_QUEUED;
    case pool::JobState::kActive:
      return pb::JOB_ACTIVE;
    case pool::JobState::kEnded:
      return pb::JOB_ENDED;
    case pool::JobState::kFailed:
      return pb::JOB_FAILED;
    case pool::JobState::kCancelled:
      return pb::JOB_CANCELLED;
  }
  return pb::JOB_STATE_UNSPECIFIED;
}

pb::UnitState ToInfo(pool::UnitState state) {
  switch (state) {
    case pool::UnitState::kPreparing:
      return pb::PREPARING;
    case pool::UnitState::kRunning:
      return pb::RUNNING;
    case pool::UnitState::kFrozen:
      return pb::FROZEN;
    case pool::UnitState::kStopped:
      return pb::STOPPED;
    case pool::UnitState::kEnded:
      return pb::ENDED;
    case pool::UnitState::kDied:
      return pb::DIED;
    case pool::UnitState::kRefused:
      return pb::REFUSED;
  }
  return pb::UNIT_STATE_UNSPECIFIED;
}

std::string StateText(const pool::Attempt& attempt) {
  if (attempt.state == pool::AttemptState::kAssigned) return "assigned";
  if (attempt.state == pool::AttemptState::kRunning) return "running";
  switch (attempt.end) {
    case pool::AttemptEnd::kEnded:
      return "ended";
    case pool::AttemptEnd::kDied:
      return "killed";
    case pool::AttemptEnd::kRefused:
      return "not started";
    case pool::AttemptEnd::kRebooted:
      return "lost in a reboot";
    case pool::AttemptEnd::kMoved:
      return "moved";
    case pool::AttemptEnd::kLost:
      return "lost";
    case pool::AttemptEnd::kCancelled:
      return "cancelled";
    case pool::AttemptEnd::kNone:
      break;
  }
  return "over";
}

void Fill(const pool::CheckpointRef& ref, pb::CheckpointId* id) {
  id->set_epoch(ref.epoch);
  id->set_number(ref.number);
}

uint64_t MsOf(pool::Span span) { return static_cast<uint64_t>(span.count()); }

}  // namespace

pb::JobInfo ToInfo(const pool::ControllerState& state, const pool::Job& job, const RowTimes& times) {
  pb::JobInfo info;
  info.set_id(job.id);
  info.set_name(job.name);
  info.set_state(ToInfo(job.state));
  info.set_epoch(job.epoch);
  if (job.state == pool::JobState::kActive) {
    info.set_worker(state.attempts.at(job.id).worker);
    info.set_unit(ToInfo(state.live.at(job.id).unit));
  }
  info.set_exit_code(job.exit_code);
  info.set_note(job.note);
  info.set_cpus_milli(job.needs.cpus_milli);
  info.set_memory_bytes(job.needs.memory_bytes);
  info.set_cancel_wanted(job.cancel_wanted);
  info.set_move_to(job.move_to);
  info.set_request(job.request);
  info.set_request_done(job.request_done);
  info.set_request_error(job.request_error);
  info.set_created_ms(times.created_ms);
  info.set_changed_ms(times.changed_ms);
  info.set_result_epoch(job.result_epoch);
  info.set_result(job.result);
  return info;
}

pb::AttemptInfo ToInfo(const AttemptRow& row) {
  const pool::Attempt& attempt = row.attempt;
  pb::AttemptInfo info;
  info.set_epoch(attempt.unit.epoch);
  info.set_worker(attempt.worker);
  info.set_state(StateText(attempt));
  info.set_detail(attempt.detail);
  if (attempt.resumed_from) Fill(*attempt.resumed_from, info.mutable_resumed_from());
  info.set_frozen_ms(MsOf(attempt.frozen));
  info.set_created_ms(row.times.created_ms);
  info.set_changed_ms(row.times.changed_ms);
  return info;
}

pb::CheckpointInfo ToInfo(const CheckpointRow& row) {
  const pool::Checkpoint& checkpoint = row.checkpoint;
  pb::CheckpointInfo info;
  Fill(checkpoint.ref, info.mutable_id());
  info.set_bytes(checkpoint.bytes);
  info.set_pause_ms(MsOf(checkpoint.pause));
  info.set_total_ms(MsOf(checkpoint.total));
  info.set_created_ms(row.created_ms);
  info.set_dropped(checkpoint.dropped);
  return info;
}

pb::HistoryInfo ToInfo(const HistoryRow& row) {
  pb::HistoryInfo info;
  info.set_at_ms(row.at_ms);
  info.set_epoch(row.line.epoch);
  info.set_worker(row.line.worker);
  info.set_text(row.line.text);
  return info;
}

pb::WorkerInfo ToInfo(const pool::ControllerState& state, const pool::Worker& worker, pool::Instant now) {
  const pool::ControllerState::LiveWorker& live = state.live_workers.at(worker.id);
  pb::WorkerInfo info;
  info.set_id(worker.id);
  info.set_present(pool::IsPresent(state, worker.id, now));
  info.set_draining(worker.draining);
  info.set_leaving(live.leaving);
  info.set_cpus_milli(live.capacity.cpus_milli);
  info.set_memory_bytes(live.capacity.memory_bytes);
  const pool::Room room = pool::FreeRoom(state, worker.id);
  info.set_free_cpus_milli(room.cpus_milli);
  info.set_free_memory_bytes(room.memory_bytes);
  info.set_units(static_cast<uint32_t>(live.units.size()));
  return info;
}

}  // namespace baton
