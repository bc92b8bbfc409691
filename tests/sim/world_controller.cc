#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "world.h"

namespace baton::pool::sim {

void World::StartController() {
  if (controller_) return;
  controller_ = RecoverController({}, {}, Rows(), ControllerNow());
  controller_paused_until_ = 0;
  ++controller_life_;
  ControllerTicks(controller_life_);
}

void World::KillController() { controller_.reset(); }

void World::PauseController(TimeUs until) { controller_paused_until_ = until; }

void World::ControllerTicks(uint64_t life) {
  if (!controller_ || life != controller_life_) return;
  OnController(ControllerTick{}, std::nullopt, std::nullopt);
  At(now_ + kControllerTick.count() * kMs, [this, life] { ControllerTicks(life); });
}

std::vector<Change> World::Rows() const {
  std::vector<Change> rows;
  for (const auto& [id, job] : jobs_) rows.emplace_back(job);
  for (const auto& [job, attempts] : attempts_) {
    for (const auto& [epoch, attempt] : attempts) rows.emplace_back(attempt);
  }
  for (const auto& [job, checkpoints] : checkpoints_) {
    for (const auto& [ref, checkpoint] : checkpoints) rows.emplace_back(checkpoint);
  }
  for (const auto& [id, worker] : workers_) rows.emplace_back(worker);
  return rows;
}

// A message to the controller: decided on, committed, carried out; and it may die anywhere between.
void World::OnController(ControllerEvent event, std::optional<size_t> machine, std::optional<UnitKey> keeper) {
  if (!controller_) return;
  if (now_ < controller_paused_until_) {
    return At(controller_paused_until_, [this, event = std::move(event), machine, keeper, life = controller_life_] {
      if (life == controller_life_) OnController(event, machine, keeper);
    });
  }
  const Decision decision = Decide(*controller_, event, ControllerNow());
  if (!decision.changes.empty() && Chance(options_.crash_at_commit)) return KillController();
  Commit(decision.changes);
  if (!decision.changes.empty() && Chance(options_.crash_at_commit)) return KillController();
  if (options_.rows_are_checked) CheckRows();
  for (const ControllerAction& action : decision.actions) CarryOut(action, machine, keeper);
}

void World::Commit(const std::vector<Change>& changes) {
  for (const Change& change : changes) std::visit([this](const auto& row) { CheckRow(row); }, change);
}

void World::CheckRow(const Job& job) {
  const auto before = jobs_.find(job.id);
  if (before != jobs_.end()) {
    if (IsOver(before->second.state) && before->second != job)
      Fail(fmt::format("job {} changes after its end", job.id));
    if (job.epoch < before->second.epoch) Fail(fmt::format("job {}: the epoch falls", job.id));
  }
  if (job.state == JobState::kEnded && job.exit_code == 0 && job.result != fmt::format("result-{}", job.id)) {
    Fail(fmt::format("job {}: a wrong result", job.id));
  }
  if (job.state == JobState::kEnded && job.result_epoch != job.epoch) Fail("a result of an old epoch");
  if (job.state == JobState::kCancelled && UnitsRunning(job.id) > 0) {
    for (const Machine& machine : machines_) {
      for (const auto& [unit, keeper] : machine.keepers) {
        if (unit.job == job.id && keeper.unit_runs && !keeper.exempt) Fail("a cancelled job still runs");
      }
    }
  }
  jobs_[job.id] = job;
}

void World::CheckRow(const Attempt& attempt) {
  auto& known = attempts_[attempt.unit.job];
  if (!known.empty() && attempt.unit.epoch < known.rbegin()->first) {
    Fail(fmt::format("job {}: attempt {} changes after the next one began", attempt.unit.job, attempt.unit.epoch));
  }
  known[attempt.unit.epoch] = attempt;
}

void World::CheckRow(const Checkpoint& checkpoint) {
  auto& known = checkpoints_[checkpoint.job];
  if (checkpoint.dropped) {
    known.erase(checkpoint.ref);
    return;
  }
  if (checkpoint.ref.epoch != jobs_.at(checkpoint.job).epoch) Fail("a checkpoint of an old epoch was accepted");
  if (!store_.contains({checkpoint.job, checkpoint.ref.epoch, checkpoint.ref.number})) {
    Fail("a checkpoint was accepted that is not in the store");
  }
  known[checkpoint.ref] = checkpoint;
}

void World::CheckRow(const Worker& worker) { workers_[worker.id] = worker; }

void World::CheckRow(const HistoryLine& line) {
  history_.push_back(
      fmt::format("{:8} ms  job {} epoch {} {}: {}", now_ / kMs, line.job, line.epoch, line.worker, line.text));
}

// Whatever the controller would not know after a restart, it should not rely on now.
void World::CheckRows() {
  if (controller_->jobs != jobs_ || controller_->workers != workers_) return Fail("rows differ from the database");
  for (const auto& [job, attempt] : controller_->attempts) {
    const Attempt& row = attempts_.at(job).rbegin()->second;
    Attempt same = attempt;
    same.frozen = row.frozen;  // written with the next change
    if (same != row) return Fail("an attempt differs from the database");
  }
  for (const auto& [job, known] : controller_->checkpoints) {
    const auto rows = checkpoints_.find(job);
    if (rows == checkpoints_.end() ? !known.empty() : rows->second != known) return Fail("checkpoints differ");
  }
}

void World::CarryOut(const ControllerAction& action, std::optional<size_t> machine, std::optional<UnitKey> keeper) {
  if (const auto* removal = std::get_if<RemoveCheckpoint>(&action)) {
    store_.erase({removal->job, removal->ref.epoch, removal->ref.number});
    return;
  }
  const auto* send = std::get_if<SendOrders>(&action);
  if (send == nullptr || !machine) return;
  Transmit(machines_[*machine].cut_in, [this, machine = *machine, keeper, orders = send->orders] {
    if (!keeper) return OnWorker(machine, OrdersCame{.orders = orders});
    if (orders.units.size() != 1) return;
    // The sequence of a partial report is the instant at which it was sent.
    OnKeeper(machine, *keeper,
             Instruction{.order = orders.units.front(),
                         .sent_at = Span(static_cast<int64_t>(orders.sequence)),
                         .next_report_at = {},
                         .direct = true});
  });
}

}  // namespace baton::pool::sim
