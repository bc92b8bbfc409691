#include "world.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace baton::pool::sim {

World::World(const Options& options) : options_(options), random_(options.seed), machines_(options.machines) {
  for (Machine& machine : machines_) {
    machine.rate = 1 + options.clock_error * (static_cast<double>(Between(-1000, 1000)) / 1000);
    machine.offset_us = Between(0, 1000 * kSecond);
  }
  StartController();
  for (size_t i = 0; i < machines_.size(); ++i) StartWorker(i);
}

bool World::Chance(double probability) { return std::uniform_real_distribution<double>(0, 1)(random_) < probability; }

TimeUs World::Between(TimeUs low, TimeUs high) { return std::uniform_int_distribution<TimeUs>(low, high)(random_); }

void World::At(TimeUs time, std::function<void()> what) {
  plan_.push({.time = std::max(time, now_), .order = planned_++, .what = std::move(what)});
}

void World::Step() {
  const Planned next = plan_.top();
  plan_.pop();
  now_ = next.time;
  next.what();
}

void World::RunFor(Span span) {
  const TimeUs end = now_ + span.count() * kMs;
  while (!plan_.empty() && plan_.top().time <= end && failure_.empty()) Step();
  now_ = end;
}

bool World::Done() const {
  const bool over = std::ranges::all_of(jobs_, [](const auto& entry) { return IsOver(entry.second.state); });
  return over && std::ranges::all_of(machines_, [](const Machine& m) { return m.keepers.empty() && m.disk.empty(); });
}

bool World::RunUntilDone(Span limit) {
  const TimeUs end = now_ + limit.count() * kMs;
  while (!plan_.empty() && plan_.top().time <= end && failure_.empty()) {
    if (Done()) return true;
    Step();
  }
  return failure_.empty() && Done();
}

void World::Fail(std::string why) {
  if (failure_.empty()) failure_ = fmt::format("at {} ms: {}", now_ / kMs, why);
}

Instant World::LocalNow(const Machine& machine) const {
  return Span((machine.offset_us + static_cast<TimeUs>(static_cast<double>(now_) * machine.rate)) / kMs);
}

// The first moment at which the machine's clock shows the instant.
TimeUs World::WorldTime(const Machine& machine, Instant instant) const {
  const double local = static_cast<double>(instant.count() * kMs - machine.offset_us);
  return static_cast<TimeUs>(local / machine.rate) + 2;
}

void World::Transmit(bool lost, const std::function<void()>& deliver) {
  const size_t copies = Chance(network_.repeat) ? 2 : 1;
  for (size_t i = 0; i < copies; ++i) {
    if (lost || Chance(network_.loss)) continue;
    const TimeUs delay = Between(200, 20 * kMs) + (Chance(network_.late) ? Between(0, network_.late_by) : 0);
    At(now_ + delay, deliver);
  }
}

uint64_t World::Submit(Job job, Span work, Span every) {
  const uint64_t id = programs_.size() + 1;
  programs_[id] = {.work = work, .every = every};
  OnController(SubmitAsked{.request = 0, .job = std::move(job)}, std::nullopt, std::nullopt);
  return id;
}

void World::Ask(const ControllerEvent& event) { OnController(event, std::nullopt, std::nullopt); }

void World::CutOff(size_t machine, bool out, bool in) {
  machines_[machine].cut_out = out;
  machines_[machine].cut_in = in;
}

void World::NoMoreCrashes() {
  options_.crash_at_commit = 0;
  options_.failing = 0;
}

size_t World::UnitsRunning(uint64_t job) const {
  size_t count = 0;
  for (const Machine& machine : machines_) {
    for (const auto& [unit, keeper] : machine.keepers) count += unit.job == job && keeper.unit_runs ? 1 : 0;
  }
  return count;
}

}  // namespace baton::pool::sim
