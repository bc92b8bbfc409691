#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "world.h"

namespace baton::pool::sim {

World::Keeper* World::Find(size_t index, UnitKey unit) {
  const auto found = machines_[index].keepers.find(unit);
  return found == machines_[index].keepers.end() ? nullptr : &found->second;
}

std::optional<std::pair<size_t, UnitKey>> World::NthKeeper(size_t nth) {
  std::vector<std::pair<size_t, UnitKey>> all;
  for (size_t i = 0; i < machines_.size(); ++i) {
    for (const auto& [unit, keeper] : machines_[i].keepers) all.emplace_back(i, unit);
  }
  if (all.empty()) return std::nullopt;
  return all[nth % all.size()];
}

bool World::KillKeeper(size_t nth) {
  const auto found = NthKeeper(nth);
  if (found) EndKeeper(found->first, found->second, "its keeper was killed");
  return found.has_value();
}

bool World::PauseKeeper(size_t nth, TimeUs until) {
  const auto found = NthKeeper(nth);
  if (!found) return false;
  Keeper* keeper = Find(found->first, found->second);
  keeper->paused_until = std::max(keeper->paused_until, until);
  keeper->exempt = true;
  // By then it has found out.
  At(keeper->paused_until + 4 * kSecond, [this, found] {
    Keeper* there = Find(found->first, found->second);
    if (there != nullptr && there->paused_until <= now_) there->exempt = false;
  });
  return true;
}

void World::OnKeeper(size_t index, UnitKey unit, KeeperEvent event) {
  Keeper* keeper = Find(index, unit);
  if (keeper == nullptr) return;
  if (now_ < keeper->paused_until) {
    return At(keeper->paused_until, [this, index, unit, event = std::move(event)] { OnKeeper(index, unit, event); });
  }
  const auto actions = Decide(keeper->state, event, LocalNow(machines_[index]));
  for (const KeeperAction& action : actions) CarryOut(index, unit, action);
  WakeKeeper(index, unit);
}

void World::WakeKeeper(size_t index, UnitKey unit) {
  Keeper* keeper = Find(index, unit);
  if (keeper == nullptr) return;
  // A little late, as programs are.
  const TimeUs wake = std::max(now_ + 1, WorldTime(machines_[index], NextWake(keeper->state))) + Between(0, 2 * kMs);
  if (keeper->woken_at > now_ && keeper->woken_at <= wake) return;
  keeper->woken_at = wake;
  At(wake, [this, index, unit] { OnKeeper(index, unit, KeeperTick{}); });
}

void World::CarryOut(size_t index, UnitKey unit, const KeeperAction& action) {
  Keeper* keeper = Find(index, unit);
  if (keeper == nullptr) return;
  if (const auto* send = std::get_if<SendKeeperReport>(&action)) {
    if (!send->direct) {
      At(now_ + Between(100, 1 * kMs),
         [this, index, said = KeeperSaid{.report = send->report, .sent_at = send->sent_at}] { OnWorker(index, said); });
      return;
    }
    WorkerReport report{.worker = WorkerName(index),
                        .incarnation = machines_[index].incarnation,
                        .sequence = static_cast<uint64_t>(send->sent_at.count()),
                        .partial = true,
                        .keepers = {send->report}};
    Transmit(machines_[index].cut_out,
             [this, index, unit, report] { OnController(ReportCame{.request = 0, .report = report}, index, unit); });
  } else if (std::get_if<FreezeUnit>(&action) != nullptr) {
    // Now and then it takes long; always within the bound.
    const TimeUs takes = Chance(0.1) ? Between(0, 1'800 * kMs) : Between(0, 50 * kMs);
    keeper->permitted = false;
    At(now_ + takes, [this, index, unit] {
      Keeper* there = Find(index, unit);
      if (there == nullptr) return;
      Settle(index, unit);
      OnKeeper(index, unit, UnitFrozen{});
    });
  } else if (std::get_if<RunUnit>(&action) != nullptr) {
    keeper->permitted = true;
    Settle(index, unit);
  } else if (const auto* kill = std::get_if<KillUnit>(&action)) {
    EndKeeper(index, unit, kill->why);
  } else if (std::get_if<Leave>(&action) != nullptr) {
    EndKeeper(index, unit, "left");
  } else if (const auto* make = std::get_if<pool::MakeCheckpoint>(&action)) {
    MakeCheckpoint(index, unit, make->number, make->final);
  }
}

// Whether the unit runs follows from what is permitted and what holds it; what it has done so far is counted.
void World::Settle(size_t index, UnitKey unit) {
  Keeper* keeper = Find(index, unit);
  if (keeper == nullptr) return;
  Count(*keeper);
  const bool runs = keeper->permitted && !keeper->captured && keeper->state.phase != KeeperState::Phase::kEnded;
  if (runs == keeper->unit_runs) return;
  keeper->unit_runs = runs;
  const uint64_t life = ++keeper->life;
  if (!runs) return;
  CheckAlone(index, unit);
  const TimeUs left = keeper->program.work.count() * kMs - keeper->done_us;
  At(now_ + std::max<TimeUs>(left, 0), [this, index, unit, life] { EndProgram(index, unit, life); });
}

void World::Count(Keeper& keeper) const {
  if (keeper.unit_runs) keeper.done_us += now_ - keeper.counted_until;
  keeper.counted_until = now_;
}

void World::CheckAlone(size_t index, UnitKey unit) {
  const Keeper* mine = Find(index, unit);
  for (size_t i = 0; i < machines_.size(); ++i) {
    for (const auto& [other, keeper] : machines_[i].keepers) {
      if (other.job != unit.job || other == unit || !keeper.unit_runs) continue;
      if (!keeper.exempt && !mine->exempt) {
        Fail(fmt::format("job {} runs at epoch {} on {} and at epoch {} on {}", unit.job, unit.epoch, index,
                         other.epoch, i));
      }
    }
  }
}

void World::EndProgram(size_t index, UnitKey unit, uint64_t life) {
  Keeper* keeper = Find(index, unit);
  if (keeper == nullptr || keeper->life != life) return;
  Count(*keeper);
  keeper->unit_runs = false;
  keeper->permitted = false;
  // The keeper hears of it, and puts it on disk, when it is not paused.
  At(keeper->paused_until, [this, index, unit] {
    Keeper* there = Find(index, unit);
    if (there == nullptr) return;
    KeeperReport ended = ReportOf(there->state, LocalNow(machines_[index]));
    ended.state = UnitState::kEnded;
    ended.result = fmt::format("result-{}", unit.job);
    machines_[index].disk[unit] = ended;
    OnKeeper(index, unit, UnitEnded{.exit_code = 0, .result = ended.result});
  });
}

void World::StartKeeper(size_t index, const StartOrder& order, Instant granted_until) {
  Machine& machine = machines_[index];
  if (machine.disk.contains(order.unit)) return Fail("a unit is started twice");
  machine.disk[order.unit];
  if (Chance(options_.failing)) {
    At(now_ + 10 * kMs,
       [this, index, unit = order.unit] { OnWorker(index, UnitNotStarted{.unit = unit, .why = "no luck"}); });
    return;
  }
  const Program& program = programs_.at(order.unit.job);
  Keeper keeper{.state = MakeKeeper(order.unit, {}, program.every, granted_until, LocalNow(machine)),
                .machine = index,
                .program = program};
  keeper.counted_until = now_;
  machine.keepers.emplace(order.unit, std::move(keeper));
  OnKeeper(index, order.unit, WorkerConnected{});
  Prepare(index, order);
}

void World::Prepare(size_t index, const StartOrder& order) {
  At(now_ + Between(20 * kMs, 3 * kSecond), [this, index, order] {
    Keeper* keeper = Find(index, order.unit);
    if (keeper == nullptr) return;
    std::optional<CheckpointRef> from;
    for (const CheckpointRef& ref : order.resume_from) {
      const auto found = store_.find({order.unit.job, ref.epoch, ref.number});
      if (found == store_.end()) continue;
      keeper->done_us = found->second;
      from = ref;
      break;
    }
    if (!from && !order.resume_from.empty()) Fail("none of the checkpoints to go on from is there");
    if (from && from != order.resume_from.front()) Fail("the newest checkpoint to go on from is not there");
    last_start_[order.unit.job] = now_;
    OnKeeper(index, order.unit, UnitReady{.resumed_from = from});
  });
}

// The keeper is gone at once, its unit soon after, and then the worker is told.
void World::EndKeeper(size_t index, UnitKey unit, const std::string& why) {
  Machine& machine = machines_[index];
  const auto found = machine.keepers.find(unit);
  if (found == machine.keepers.end()) return;
  machine.keepers.erase(found);
  machine.dying.insert(unit);
  At(now_ + Between(1 * kMs, 200 * kMs), [this, index, unit, why, boot = machine.boot] {
    Machine& there = machines_[index];
    if (there.boot != boot || !there.up) return;
    there.dying.erase(unit);
    const auto on_disk = there.disk.find(unit);
    const auto ended = on_disk == there.disk.end() ? std::nullopt : on_disk->second;
    OnWorker(index, UnitGone{.unit = unit, .why = why, .ended = ended});
  });
}

void World::MakeCheckpoint(size_t index, UnitKey unit, uint64_t number, bool final) {
  Keeper* keeper = Find(index, unit);
  keeper->captured = true;
  keeper->final = final;
  Settle(index, unit);
  const TimeUs captured_us = keeper->done_us;
  At(now_ + Between(1 * kMs, 80 * kMs), [this, index, unit, final] {
    Keeper* there = Find(index, unit);
    if (there == nullptr || final) return;
    there->captured = false;
    Settle(index, unit);
  });
  const TimeUs takes = Chance(0.2) ? Between(0, 8 * kSecond) : Between(80 * kMs, kSecond);
  At(now_ + 80 * kMs + takes,
     [this, index, unit, number, captured_us] { FinishCheckpoint(index, unit, number, captured_us); });
}

void World::FinishCheckpoint(size_t index, UnitKey unit, uint64_t number, TimeUs captured_us) {
  Keeper* keeper = Find(index, unit);
  if (keeper == nullptr) return;
  if (now_ < keeper->paused_until) {
    return At(keeper->paused_until,
              [this, index, unit, number, captured_us] { FinishCheckpoint(index, unit, number, captured_us); });
  }
  if (Chance(options_.failing)) {
    keeper->captured = false;
    OnKeeper(index, unit, CheckpointFailed{.why = "disk full"});
    return Settle(index, unit);
  }
  store_[{unit.job, unit.epoch, number}] = captured_us;
  OnKeeper(index, unit, CheckpointMade{.offer = {.number = number, .manifest_hash = fmt::format("hash-{}", number)}});
}

}  // namespace baton::pool::sim
