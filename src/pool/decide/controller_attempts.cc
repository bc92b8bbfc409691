#include <fmt/format.h>

#include <string>
#include <utility>
#include <vector>

#include "pool/decide/controller_step.h"
#include "pool/decide/placement.h"

namespace baton::pool {
namespace {

// So many failures from one point are not by chance: then one point earlier.
constexpr uint32_t kFailuresOfAPoint = 3;

std::string EndText(AttemptEnd end) {
  switch (end) {
    case AttemptEnd::kEnded:
      return "ended";
    case AttemptEnd::kDied:
      return "was killed";
    case AttemptEnd::kRefused:
      return "could not be started";
    case AttemptEnd::kRebooted:
      return "lost";
    case AttemptEnd::kMoved:
      return "stopped, to go on elsewhere";
    case AttemptEnd::kLost:
      return "given up: its worker is silent";
    case AttemptEnd::kCancelled:
      return "cancelled";
    case AttemptEnd::kNone:
      break;
  }
  return "";
}

}  // namespace

void ControllerStep::Assign(Job& job, const std::string& worker) {
  ++job.epoch;
  job.state = JobState::kActive;
  job.move_wanted = false;
  job.move_to.clear();
  Attempt& attempt = state_.attempts[job.id];
  attempt = Attempt{
      .unit = {.job = job.id, .epoch = job.epoch}, .worker = worker, .boot_id = state_.workers.at(worker).boot_id};
  ControllerState::Live& live = state_.live[job.id];
  live.granted_at = now_;
  live.unit = UnitState::kPreparing;
  live.checkpoint_error.clear();
  Put(job);
  Put(attempt);
  Note(attempt, "assigned");
}

void ControllerStep::CloseAttempt(Attempt& attempt, AttemptEnd end, std::string detail) {
  attempt.state = AttemptState::kOver;
  attempt.end = end;
  const std::string text = EndText(end);
  Note(attempt, detail.empty() ? text : text + ": " + detail);
  attempt.detail = std::move(detail);
  Put(attempt);
}

void ControllerStep::EndAttempt(Job& job, AttemptEnd end, const std::string& detail) {
  Attempt& attempt = state_.attempts.at(job.id);
  if (job.cancel_wanted) {
    CloseAttempt(attempt, AttemptEnd::kCancelled, detail);
    return FinishJob(job, JobState::kCancelled, "");
  }
  CloseAttempt(attempt, end, detail);
  if (end != AttemptEnd::kDied && end != AttemptEnd::kRefused) return Requeue(job, Span(0));
  ++job.failures;
  CountFailure(job, attempt);
  if (job.failures > job.retry.max_failures) {
    return FinishJob(job, JobState::kFailed,
                     fmt::format("{} attempts in a row failed, the last one: {}", job.failures, detail));
  }
  Requeue(job, BackoffAfter(job.retry, job.failures));
}

void ControllerStep::ConcludeEnded(Job& job, const KeeperReport& unit) {
  Attempt& attempt = state_.attempts.at(job.id);
  if (job.cancel_wanted) return EndAttempt(job, AttemptEnd::kCancelled, "");
  attempt.exit_code = unit.exit_code;
  CloseAttempt(attempt, AttemptEnd::kEnded, fmt::format("exit code {}", unit.exit_code));
  if (unit.exit_code == 0 || job.retries_used >= job.retry.retries) {
    job.exit_code = unit.exit_code;
    job.result = unit.result;
    job.result_epoch = unit.unit.epoch;
    return FinishJob(job, JobState::kEnded, "");
  }
  ++job.retries_used;
  CountFailure(job, attempt);
  Requeue(job, BackoffAfter(job.retry, job.retries_used + 1));
}

// Attempts that fail from the same point again and again are made from an earlier one.
void ControllerStep::CountFailure(Job& job, const Attempt& attempt) {
  const std::vector<CheckpointRef> candidates = Candidates(state_, job);
  // With a checkpoint of its own it got further than the last one.
  if (candidates.empty() || candidates.front().epoch == attempt.unit.epoch) {
    job.stuck = candidates.empty() ? 0 : 1;
    return;
  }
  if (++job.stuck < kFailuresOfAPoint) return;
  job.stuck = 0;
  job.resume_below = candidates.front();
  NoteJob(job, fmt::format("checkpoint {}.{} is left out: it failed {} times", candidates.front().epoch,
                           candidates.front().number, kFailuresOfAPoint));
}

void ControllerStep::Requeue(Job& job, Span wait) {
  job.state = JobState::kQueued;
  job.move_wanted = false;
  ControllerState::Live& live = state_.live[job.id];
  live.not_before = now_ + wait;
  live.unit = UnitState::kPreparing;
  Put(job);
}

void ControllerStep::FinishJob(Job& job, JobState state, std::string note) {
  job.state = state;
  job.move_wanted = false;
  job.move_to.clear();
  job.note = std::move(note);
  state_.live.erase(job.id);
  Put(job);
  const char* const text = state == JobState::kEnded ? "ended" : state == JobState::kFailed ? "failed" : "cancelled";
  NoteJob(job, job.note.empty() ? text : fmt::format("{}: {}", text, job.note));
}

void ControllerStep::Schedule() {
  MoveAway();
  for (auto& [id, live] : state_.live) {
    Job& job = state_.jobs.at(id);
    if (job.state == JobState::kQueued && now_ >= live.not_before) StartQueued(job);
  }
}

void ControllerStep::StartQueued(Job& job) {
  if (!job.move_to.empty() && Fits(state_, job, job.move_to, now_)) return Assign(job, std::string(job.move_to));
  // The place that was kept for it is none any more.
  if (!job.move_to.empty()) {
    job.move_to.clear();
    Put(job);
  }
  if (const auto worker = Place(state_, job, "", now_)) Assign(job, *worker);
}

void ControllerStep::AskToMove(Job& job, const std::string& to) {
  job.move_wanted = true;
  job.move_to = to;
  ++job.request;
  Put(job);
  Note(state_.attempts.at(job.id), "to be moved to " + to);
}

// From workers that are being drained, as far as there is room elsewhere.
void ControllerStep::MoveAway() {
  for (const auto& [id, live] : state_.live) {
    Job& job = state_.jobs.at(id);
    if (job.state != JobState::kActive || job.move_wanted || job.cancel_wanted) continue;
    const Attempt& attempt = state_.attempts.at(id);
    const bool asked = state_.workers.at(attempt.worker).draining || state_.live_workers[attempt.worker].leaving;
    if (!asked || attempt.state != AttemptState::kRunning || !IsPresent(state_, attempt.worker, now_)) continue;
    if (const auto to = Place(state_, job, attempt.worker, now_)) AskToMove(job, *to);
  }
}

void ControllerStep::HandOver() {
  const bool mass = SilenceIsMass();
  for (const uint64_t id : UnfinishedJobs()) {
    Job& job = state_.jobs.at(id);
    if (job.state != JobState::kActive || !IsDue(id)) continue;
    // Its worker is there and has it: it is killed first (OrderForAlive).
    const Attempt& attempt = state_.attempts.at(id);
    const auto& units = state_.live_workers[attempt.worker].units;
    const auto unit = units.find(attempt.unit);
    if (IsPresent(state_, attempt.worker, now_) && unit != units.end()) continue;
    if (job.cancel_wanted) {
      EndAttempt(job, AttemptEnd::kCancelled, "");
    } else if (!mass || MayHandOver()) {
      HandOverJob(job);
    }
  }
}

// Only where it can run at once: else its old place is as good as any, should it come back.
void ControllerStep::HandOverJob(Job& job) {
  Attempt& attempt = state_.attempts.at(job.id);
  const auto worker = Place(state_, job, attempt.worker, now_);
  if (!worker) return;
  CloseAttempt(attempt, AttemptEnd::kLost, "");
  Assign(job, *worker);
  if (state_.mass_since) state_.mass_next_at = now_ + state_.limits.mass_pace;
}

// Very many silent at once: then it is the network, not they; so it is until none of them has jobs any more.
bool ControllerStep::SilenceIsMass() {
  std::set<std::string> silent;
  for (const auto& [id, live] : state_.live) {
    if (state_.jobs.at(id).state != JobState::kActive || !IsDue(id)) continue;
    const std::string& worker = state_.attempts.at(id).worker;
    if (!IsPresent(state_, worker, now_)) silent.insert(worker);
  }
  size_t present = 0;
  for (const auto& [id, live] : state_.live_workers) present += IsPresent(state_, id, now_) ? 1 : 0;
  const bool many = silent.size() >= state_.limits.mass_workers &&
                    silent.size() * 100 >= (silent.size() + present) * state_.limits.mass_percent;
  if (many && !state_.mass_since) state_.mass_since = now_;
  if (silent.empty()) state_.mass_since.reset();
  return state_.mass_since.has_value();
}

bool ControllerStep::MayHandOver() {
  return now_ >= *state_.mass_since + state_.limits.second_look && now_ >= state_.mass_next_at;
}

}  // namespace baton::pool
