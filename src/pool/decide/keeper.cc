#include "pool/decide/keeper.h"

#include <algorithm>
#include <utility>

namespace baton::pool {
namespace {

using Phase = KeeperState::Phase;
using Actions = std::vector<KeeperAction>;

bool Over(const KeeperState& keeper) { return keeper.phase == Phase::kGone; }

bool StandsStill(const KeeperState& keeper) {
  return keeper.phase == Phase::kFreezing || keeper.phase == Phase::kFrozen;
}

// A lease that came meanwhile gives it more time.
Instant KillFreezingAt(const KeeperState& keeper) {
  return std::max(keeper.freeze_began + keeper.terms.stop_bound * 2 / 3, keeper.lease_end);
}

Instant GiveUpAt(const KeeperState& keeper) {
  return std::max(keeper.frozen_since, keeper.lease_end) + keeper.terms.frozen_max;
}

bool WorkerIsSilent(const KeeperState& keeper, Instant now) {
  return !keeper.worker_there || now >= keeper.worker_heard_at + keeper.terms.worker_silence;
}

void Kill(KeeperState& keeper, std::string why, Actions& actions) {
  if (Over(keeper)) return;
  keeper.phase = Phase::kGone;
  actions.emplace_back(KillUnit{.why = std::move(why)});
}

void Run(KeeperState& keeper, Instant now, Actions& actions) {
  if (StandsStill(keeper)) keeper.frozen_before += now - keeper.frozen_since;
  keeper.phase = Phase::kRunning;
  actions.emplace_back(RunUnit{});
}

// What follows from the lease alone.
void WatchLease(KeeperState& keeper, Instant now, Actions& actions) {
  const bool held = now < keeper.lease_end;
  if (keeper.phase == Phase::kRunning && !held) {
    keeper.phase = Phase::kFreezing;
    keeper.freeze_began = now;
    keeper.frozen_since = now;
    actions.emplace_back(FreezeUnit{});
  } else if (keeper.phase == Phase::kFreezing && now >= KillFreezingAt(keeper)) {
    Kill(keeper, "it could not be frozen when its lease ended", actions);
  } else if (keeper.phase == Phase::kFrozen && held) {
    Run(keeper, now, actions);
  } else if ((keeper.phase == Phase::kFrozen || keeper.phase == Phase::kPreparing) && now >= GiveUpAt(keeper)) {
    Kill(keeper, "it was without a lease for too long", actions);
  }
}

// The moment in which the worker becomes silent is the latest to ask elsewhere.
Instant RenewAt(const KeeperState& keeper) {
  if (keeper.asked_directly || !keeper.worker_there) return keeper.renew_at;
  return std::min(keeper.renew_at, keeper.worker_heard_at + keeper.terms.worker_silence);
}

void WatchEnd(KeeperState& keeper, Instant now, Actions& actions) {
  if (keeper.phase != Phase::kEnded || WorkerIsSilent(keeper, now)) return;
  keeper.phase = Phase::kGone;
  actions.emplace_back(Leave{});
}

void WatchRenewal(KeeperState& keeper, Instant now, Actions& actions) {
  if (Over(keeper) || now < RenewAt(keeper)) return;
  keeper.renew_at = now + keeper.terms.renew_every;
  keeper.asked_directly = WorkerIsSilent(keeper, now);
  actions.emplace_back(
      SendKeeperReport{.report = ReportOf(keeper, now), .sent_at = now, .direct = keeper.asked_directly});
}

bool WantsCheckpoint(const KeeperState& keeper, Instant now) {
  if (keeper.program_asks || keeper.request_wanted > keeper.request_done) return true;
  return keeper.every > Span(0) && now >= keeper.next_checkpoint_at;
}

// Only of a unit that runs: one that lost its lease may be an old one, whose checkpoint nobody would take.
void WatchCheckpoints(KeeperState& keeper, Instant now, Actions& actions) {
  if (keeper.phase != Phase::kRunning || keeper.checkpointing || !WantsCheckpoint(keeper, now)) return;
  keeper.checkpointing = true;
  keeper.program_asks = false;
  keeper.final_checkpoint = keeper.stop_wanted && keeper.request_wanted > keeper.request_done;
  keeper.request_under_way = keeper.request_wanted;
  keeper.next_checkpoint_at = now + keeper.every;
  actions.emplace_back(MakeCheckpoint{.number = keeper.next_number++, .final = keeper.final_checkpoint});
}

void TakeOrder(KeeperState& keeper, const UnitOrder& order) {
  for (const OfferAnswer& answer : order.answers) {
    std::erase_if(keeper.offers, [&](const CheckpointOffer& offer) { return offer.number == answer.number; });
  }
  if (order.verdict != Verdict::kGrant || order.request < keeper.request_wanted) return;
  keeper.request_wanted = order.request;
  keeper.stop_wanted = order.stop;
}

class Handler {
 public:
  Handler(KeeperState* keeper, Instant now, Actions* actions) : keeper_(*keeper), now_(now), actions_(*actions) {}

  void operator()(const KeeperTick&) const {}

  void operator()(const WorkerConnected&) const {
    keeper_.worker_there = true;
    keeper_.worker_heard_at = now_;
    keeper_.renew_at = now_;
  }

  void operator()(const WorkerDisconnected&) const {
    keeper_.worker_there = false;
    keeper_.renew_at = now_;
  }

  void operator()(const WorkerHeard&) const { keeper_.worker_heard_at = now_; }

  void operator()(const Instruction& instruction) const {
    const UnitOrder& order = instruction.order;
    if (!instruction.direct) keeper_.worker_heard_at = now_;
    if (order.unit.job != keeper_.unit.job) return;
    if (order.unit.epoch > keeper_.unit.epoch) return Kill(keeper_, "the job has a newer epoch", actions_);
    if (order.unit.epoch < keeper_.unit.epoch) return;
    if (order.verdict == Verdict::kKill || order.verdict == Verdict::kForget) {
      return Kill(keeper_, "the controller said so", actions_);
    }
    TakeOrder(keeper_, order);
    // A grant that answers a request from the future answers none of ours.
    if (order.verdict != Verdict::kGrant || instruction.sent_at > now_) return;
    keeper_.lease_end = std::max(keeper_.lease_end, instruction.sent_at + keeper_.terms.lease);
    if (instruction.next_report_at) Schedule(*instruction.next_report_at);
  }

  void operator()(const UnitReady& ready) const {
    if (keeper_.phase != Phase::kPreparing) return;
    keeper_.resumed_from = ready.resumed_from;
    keeper_.next_checkpoint_at = now_ + keeper_.every;
    // Runs at once if the lease holds.
    keeper_.phase = Phase::kFrozen;
    keeper_.frozen_since = now_;
    keeper_.renew_at = now_;
  }

  void operator()(const UnitFrozen&) const {
    if (keeper_.phase == Phase::kFreezing) keeper_.phase = Phase::kFrozen;
  }

  void operator()(const UnitEnded& ended) const {
    if (keeper_.phase == Phase::kGone || keeper_.phase == Phase::kStopped) return;
    keeper_.phase = Phase::kEnded;
    keeper_.exit_code = ended.exit_code;
    keeper_.result = ended.result;
    keeper_.renew_at = now_;
  }

  void operator()(const CheckpointMade& made) const {
    keeper_.offers.push_back(made.offer);
    const bool stopped = Finish("");
    if (stopped && keeper_.phase != Phase::kGone && keeper_.phase != Phase::kEnded) {
      if (StandsStill(keeper_)) keeper_.frozen_before += now_ - keeper_.frozen_since;
      keeper_.phase = Phase::kStopped;
      keeper_.stopped_with = made.offer.number;
    }
  }

  void operator()(const ProgramAsks&) const { keeper_.program_asks = true; }

  void operator()(const CheckpointFailed& failed) const { Finish(failed.why); }

 private:
  // Shortly before the worker's next report, so that the lease loses no time on the way.
  void Schedule(Instant next_report_at) const {
    keeper_.renew_at = std::clamp(next_report_at - keeper_.terms.ahead, now_, now_ + keeper_.terms.renew_every);
  }

  // Whether it was the final one.
  bool Finish(const std::string& error) const {
    keeper_.checkpoint_error = error;
    if (keeper_.request_under_way > keeper_.request_done) {
      keeper_.request_done = keeper_.request_under_way;
      keeper_.request_error = error;
      if (keeper_.request_wanted == keeper_.request_done) keeper_.stop_wanted = false;
    }
    keeper_.checkpointing = false;
    keeper_.renew_at = now_;
    return std::exchange(keeper_.final_checkpoint, false);
  }

  KeeperState& keeper_;
  Instant now_;
  Actions& actions_;
};

UnitState StateOf(Phase phase) {
  switch (phase) {
    case Phase::kPreparing:
      return UnitState::kPreparing;
    case Phase::kRunning:
      return UnitState::kRunning;
    case Phase::kFreezing:
    case Phase::kFrozen:
      return UnitState::kFrozen;
    case Phase::kStopped:
      return UnitState::kStopped;
    case Phase::kEnded:
      return UnitState::kEnded;
    case Phase::kGone:
      return UnitState::kDied;
  }
  return UnitState::kDied;
}

}  // namespace

KeeperState MakeKeeper(UnitKey unit, const LeaseTerms& terms, Span every, Instant granted_until, Instant now) {
  KeeperState keeper;
  keeper.unit = unit;
  keeper.terms = terms;
  keeper.every = every;
  keeper.lease_end = granted_until;
  keeper.frozen_since = now;
  keeper.renew_at = now;
  keeper.worker_there = true;
  keeper.worker_heard_at = now;
  return keeper;
}

std::vector<KeeperAction> Decide(KeeperState& keeper, const KeeperEvent& event, Instant now) {
  Actions actions;
  if (Over(keeper)) return actions;
  std::visit(Handler(&keeper, now, &actions), event);
  WatchLease(keeper, now, actions);
  WatchEnd(keeper, now, actions);
  WatchCheckpoints(keeper, now, actions);
  WatchRenewal(keeper, now, actions);
  return actions;
}

Instant NextWake(const KeeperState& keeper) {
  Instant wake = RenewAt(keeper);
  if (keeper.phase == Phase::kRunning) wake = std::min(wake, keeper.lease_end);
  if (keeper.phase == Phase::kRunning && keeper.every > Span(0) && !keeper.checkpointing) {
    wake = std::min(wake, keeper.next_checkpoint_at);
  }
  if (keeper.phase == Phase::kFreezing) wake = std::min(wake, KillFreezingAt(keeper));
  return wake;
}

KeeperReport ReportOf(const KeeperState& keeper, Instant now) {
  return {.unit = keeper.unit,
          .state = StateOf(keeper.phase),
          .renew = true,
          .exit_code = keeper.exit_code,
          .result = keeper.result,
          .detail = {},
          .offers = keeper.offers,
          .request_done = keeper.request_done,
          .request_error = keeper.request_error,
          .checkpoint_error = keeper.checkpoint_error,
          .resumed_from = keeper.resumed_from,
          .final_checkpoint = keeper.stopped_with,
          .frozen = keeper.frozen_before + (StandsStill(keeper) ? now - keeper.frozen_since : Span(0))};
}

}  // namespace baton::pool
