#include "engine/native/scheduler_clock.h"

#include <sched.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>

#include "proc/process_files.h"

namespace baton {
namespace {

std::optional<int64_t> ExecStartNs(const ProcSched& sched) {
  constexpr double kNsPerMs = 1e6;
  const auto milliseconds = sched.Find("se.exec_start");
  if (!milliseconds) return std::nullopt;
  return static_cast<int64_t>(*milliseconds * kNsPerMs);
}

std::optional<uint64_t> SwitchesOf(const ProcSched& sched) {
  const auto switches = sched.Find("nr_voluntary_switches");
  return switches ? std::optional(static_cast<uint64_t>(*switches)) : std::nullopt;
}

int64_t MonotonicNs() {
  constexpr int64_t kNsPerSecond = 1'000'000'000;
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * kNsPerSecond + now.tv_nsec;
}

// Runs on the CPU if that is allowed, elsewhere otherwise.
std::optional<int64_t> MeasureBehind(int cpu) {
  cpu_set_t before;
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(static_cast<size_t>(cpu), &one);
  const bool moved = sched_getaffinity(0, sizeof before, &before) == 0 && sched_setaffinity(0, sizeof one, &one) == 0;
  sched_yield();  // brings our own exec_start up to now
  const auto sched = ReadSched(getpid(), gettid());
  const int64_t now = MonotonicNs();
  if (moved) sched_setaffinity(0, sizeof before, &before);
  const auto clock = sched ? ExecStartNs(*sched) : std::nullopt;
  if (!clock) return std::nullopt;
  return now - *clock;
}

}  // namespace

std::optional<int64_t> SchedulerClock::NowOn(int cpu) {
  auto known = behind_ns_.find(cpu);
  if (known == behind_ns_.end()) known = behind_ns_.emplace(cpu, MeasureBehind(cpu)).first;
  if (!known->second) return std::nullopt;
  return MonotonicNs() - *known->second;
}

std::optional<SchedulerClock::Sleep> SchedulerClock::Look(pid_t pid, pid_t tid) {
  const auto stat = ReadStat(pid, tid);
  if (!stat || stat->processor < 0 || stat->processor >= CPU_SETSIZE) return std::nullopt;
  const auto now = NowOn(stat->processor);
  const auto sched = ReadSched(pid, tid);
  if (!now || !sched) return std::nullopt;
  const auto then = ExecStartNs(*sched);
  const auto switches = SwitchesOf(*sched);
  if (!then || !switches) return std::nullopt;
  return Sleep{std::max<int64_t>(0, *now - *then), *switches};
}

std::optional<uint64_t> SchedulerClock::Switches(pid_t pid, pid_t tid) {
  const auto sched = ReadSched(pid, tid);
  return sched ? SwitchesOf(*sched) : std::nullopt;
}

}  // namespace baton
