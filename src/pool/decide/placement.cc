#include "pool/decide/placement.h"

#include <tuple>

namespace baton::pool {
namespace {

void Take(Room* room, const JobNeeds& needs) {
  room->cpus_milli -= needs.cpus_milli;
  room->memory_bytes -= static_cast<int64_t>(needs.memory_bytes);
}

bool IsOn(const ControllerState& state, const Job& job, const std::string& worker) {
  if (job.state == JobState::kActive && state.attempts.at(job.id).worker == worker) return true;
  return !IsOver(job.state) && job.move_to == worker;
}

// A unit of an older epoch still takes room until it is gone.
bool IsOldThere(const ControllerState& state, const UnitKey& unit, const std::string& worker) {
  const auto job = state.jobs.find(unit.job);
  return job != state.jobs.end() && !IsOn(state, job->second, worker);
}

std::optional<std::string> BestOf(const ControllerState& state, const Job& job, const std::string& except,
                                  const std::set<std::string>& avoid, Instant now) {
  std::optional<std::string> best;
  std::tuple<int64_t, int64_t> best_room;
  for (const auto& [id, live] : state.live_workers) {
    if (id == except || avoid.contains(id) || !Fits(state, job, id, now)) continue;
    const Room room = FreeRoom(state, id);
    const std::tuple<int64_t, int64_t> key(room.cpus_milli, room.memory_bytes);
    if (best && key <= best_room) continue;
    best = id;
    best_room = key;
  }
  return best;
}

}  // namespace

bool IsPresent(const ControllerState& state, const std::string& worker, Instant now) {
  const auto live = state.live_workers.find(worker);
  return live != state.live_workers.end() && live->second.seen_at && now < *live->second.seen_at + state.terms.lease;
}

bool TakesJobs(const ControllerState& state, const std::string& worker, Instant now) {
  if (!IsPresent(state, worker, now) || state.live_workers.at(worker).leaving) return false;
  return !state.workers.at(worker).draining;
}

Room FreeRoom(const ControllerState& state, const std::string& worker) {
  const ControllerState::LiveWorker& live = state.live_workers.at(worker);
  Room room{.cpus_milli = live.capacity.cpus_milli, .memory_bytes = static_cast<int64_t>(live.capacity.memory_bytes)};
  for (const auto& [id, now] : state.live) {
    const Job& job = state.jobs.at(id);
    if (IsOn(state, job, worker)) Take(&room, job.needs);
  }
  for (const auto& [unit, unit_state] : live.units) {
    if (!IsOver(unit_state) && IsOldThere(state, unit, worker)) Take(&room, state.jobs.at(unit.job).needs);
  }
  return room;
}

bool Fits(const ControllerState& state, const Job& job, const std::string& worker, Instant now) {
  if (!TakesJobs(state, worker, now)) return false;
  Room room = FreeRoom(state, worker);
  if (IsOn(state, job, worker)) {
    room.cpus_milli += job.needs.cpus_milli;
    room.memory_bytes += static_cast<int64_t>(job.needs.memory_bytes);
  }
  return room.cpus_milli >= job.needs.cpus_milli && room.memory_bytes >= static_cast<int64_t>(job.needs.memory_bytes);
}

std::optional<std::string> Place(const ControllerState& state, const Job& job, const std::string& except, Instant now) {
  const auto live = state.live.find(job.id);
  const std::set<std::string> none;
  const std::set<std::string>& avoid = live == state.live.end() ? none : live->second.avoid;
  auto best = BestOf(state, job, except, avoid, now);
  if (best || avoid.empty()) return best;
  return BestOf(state, job, except, none, now);
}

}  // namespace baton::pool
