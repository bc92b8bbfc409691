// Which worker a job goes to: one that is there, takes jobs and has the processors and the memory free; of these the
// one with the most processors free, then the most memory, then the first by name.
#pragma once

#include <optional>
#include <string>

#include "pool/decide/controller_state.h"

namespace baton::pool {

// It reported within a lease, and in its present life.
bool IsPresent(const ControllerState& state, const std::string& worker, Instant now);
// And takes jobs.
bool TakesJobs(const ControllerState& state, const std::string& worker, Instant now);

// What no job on it, nor on its way to it, needs.
struct Room {
  int64_t cpus_milli = 0;
  int64_t memory_bytes = 0;
};
Room FreeRoom(const ControllerState& state, const std::string& worker);

// Whether the job could start there now, its own present place not counted.
bool Fits(const ControllerState& state, const Job& job, const std::string& worker, Instant now);

// The best one but `except`; those that refused the job only if there is no other.
std::optional<std::string> Place(const ControllerState& state, const Job& job, const std::string& except, Instant now);

}  // namespace baton::pool
