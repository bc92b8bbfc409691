#include "pool/decide/controller_state.h"

#include <algorithm>

namespace baton::pool {
namespace {

class Loader {
 public:
  explicit Loader(ControllerState* state) : state_(*state) {}

  void operator()(const Job& job) const {
    state_.jobs[job.id] = job;
    state_.next_job = std::max(state_.next_job, job.id + 1);
  }
  void operator()(const Attempt& attempt) const {
    Attempt& newest = state_.attempts[attempt.unit.job];
    if (newest.unit.epoch <= attempt.unit.epoch) newest = attempt;
  }
  void operator()(const Checkpoint& checkpoint) const {
    if (checkpoint.dropped) {
      state_.checkpoints[checkpoint.job].erase(checkpoint.ref);
    } else {
      state_.checkpoints[checkpoint.job][checkpoint.ref] = checkpoint;
    }
  }
  void operator()(const Worker& worker) const { state_.workers[worker.id] = worker; }
  void operator()(const HistoryLine&) const {}

 private:
  ControllerState& state_;
};

}  // namespace

ControllerState RecoverController(const LeaseTerms& terms, const ControllerLimits& limits,
                                  const std::vector<Change>& rows, Instant now) {
  ControllerState state;
  state.terms = terms;
  state.limits = limits;
  state.started_at = now;
  for (const Change& row : rows) std::visit(Loader(&state), row);
  for (const auto& [id, job] : state.jobs) {
    if (IsOver(job.state)) continue;
    ControllerState::Live& live = state.live[id];
    live.granted_at = now;
    live.not_before = now + BackoffAfter(job.retry, job.failures);
  }
  for (const auto& [id, worker] : state.workers) state.live_workers[id];
  return state;
}

Span BackoffAfter(const RetryPolicy& policy, uint32_t failures) {
  if (failures <= 1) return Span(0);
  Span wait = policy.backoff;
  for (uint32_t i = 2; i < failures && wait < policy.backoff_max; ++i) wait *= 2;
  return std::min(wait, policy.backoff_max);
}

std::vector<CheckpointRef> Candidates(const ControllerState& state, const Job& job) {
  std::vector<CheckpointRef> refs;
  const auto found = state.checkpoints.find(job.id);
  if (found == state.checkpoints.end()) return refs;
  for (const auto& [ref, checkpoint] : found->second) {
    if (!job.resume_below || ref < *job.resume_below) refs.push_back(ref);
  }
  std::ranges::reverse(refs);
  return refs;
}

}  // namespace baton::pool
