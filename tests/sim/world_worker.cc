#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "world.h"

namespace baton::pool::sim {

void World::StartWorker(size_t index) {
  Machine& machine = machines_[index];
  if (!machine.up || machine.worker) return;
  std::vector<KeeperReport> known;
  for (const auto& [unit, ended] : machine.disk) {
    const bool alive = machine.keepers.contains(unit) || machine.dying.contains(unit);
    if (alive || !ended) {
      known.push_back({.unit = unit, .state = alive ? UnitState::kPreparing : UnitState::kDied});
    } else {
      known.push_back(*ended);
    }
  }
  ++machine.incarnation;
  machine.worker_paused_until = 0;
  machine.worker = MakeWorker({.id = WorkerName(index),
                               .incarnation = machine.incarnation,
                               .boot_id = fmt::format("boot-{}", machine.boot),
                               .capacity = {.cpus_milli = options_.cpus * 1000, .memory_bytes = uint64_t{8} << 30}},
                              {}, known, LocalNow(machine));
  for (const auto& [unit, keeper] : machine.keepers) Connect(index, unit);
  machine.worker_woken_at = -1;
  WakeWorker(index);
}

// Keepers find their worker again by trying.
void World::Connect(size_t index, UnitKey unit) {
  At(now_ + Between(1 * kMs, 200 * kMs), [this, index, unit, incarnation = machines_[index].incarnation] {
    if (machines_[index].worker && machines_[index].incarnation == incarnation) {
      OnKeeper(index, unit, WorkerConnected{});
    }
  });
}

void World::KillWorker(size_t index) {
  Machine& machine = machines_[index];
  if (!machine.worker) return;
  machine.worker.reset();
  for (const auto& [unit, keeper] : machine.keepers) {
    At(now_ + 1 * kMs, [this, index, unit] { OnKeeper(index, unit, WorkerDisconnected{}); });
  }
}

void World::PauseWorker(size_t index, TimeUs until) { machines_[index].worker_paused_until = until; }

void World::OnWorker(size_t index, WorkerEvent event) {
  Machine& machine = machines_[index];
  if (!machine.worker) return;
  if (now_ < machine.worker_paused_until) {
    return At(machine.worker_paused_until, [this, index, event = std::move(event), incarnation = machine.incarnation] {
      if (machines_[index].incarnation == incarnation) OnWorker(index, event);
    });
  }
  for (const WorkerAction& action : Decide(*machine.worker, event, LocalNow(machine))) CarryOut(index, action);
  WakeWorker(index);
}

void World::WakeWorker(size_t index) {
  Machine& machine = machines_[index];
  if (!machine.worker) return;
  const TimeUs wake = std::max(now_ + 1, WorldTime(machine, NextWake(*machine.worker)));
  if (machine.worker_woken_at > now_ && machine.worker_woken_at <= wake) return;
  machine.worker_woken_at = wake;
  At(wake, [this, index, incarnation = machine.incarnation] {
    if (machines_[index].incarnation == incarnation) OnWorker(index, WorkerTick{});
  });
}

void World::CarryOut(size_t index, const WorkerAction& action) {
  Machine& machine = machines_[index];
  if (const auto* send = std::get_if<SendWorkerReport>(&action)) {
    Transmit(machine.cut_out, [this, index, report = send->report] {
      OnController(ReportCame{.request = 0, .report = report}, index, std::nullopt);
    });
  } else if (const auto* start = std::get_if<StartUnit>(&action)) {
    StartKeeper(index, start->order, start->granted_until);
  } else if (const auto* kill = std::get_if<pool::KillKeeper>(&action)) {
    EndKeeper(index, kill->unit, "killed");
  } else if (const auto* instruct = std::get_if<InstructKeeper>(&action)) {
    At(now_ + Between(100, 1 * kMs), [this, index, instruction = instruct->instruction] {
      if (machines_[index].worker) OnKeeper(index, instruction.order.unit, instruction);
    });
  } else if (const auto* hear = std::get_if<AcknowledgeKeeper>(&action)) {
    At(now_ + Between(100, 1 * kMs), [this, index, unit = hear->unit] {
      if (machines_[index].worker) OnKeeper(index, unit, WorkerHeard{});
    });
  } else if (const auto* forget = std::get_if<ForgetUnit>(&action)) {
    if (machine.keepers.contains(forget->unit)) Fail("a unit is forgotten that is still there");
    machine.disk.erase(forget->unit);
  }
}

void World::KillMachine(size_t index) {
  Machine& machine = machines_[index];
  machine.up = false;
  machine.worker.reset();
  machine.keepers.clear();
  machine.dying.clear();
}

void World::BootMachine(size_t index) {
  Machine& machine = machines_[index];
  if (machine.up) return;
  machine.up = true;
  ++machine.boot;
  StartWorker(index);
}

}  // namespace baton::pool::sim
