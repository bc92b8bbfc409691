// The words that all decisions of a pool share. Here and in the rest of pool/decide nothing has a thread, a clock, a
// socket or a file: a decision is a function of a state, an event and the time, and returns what is to be done.
//
// Thread-safety: plain values, as everything in this folder.
#pragma once

#include <chrono>
#include <compare>
#include <cstdint>

namespace baton::pool {

using Span = std::chrono::milliseconds;
// Time since the boot of the machine that decides (CLOCK_BOOTTIME: it goes on while the machine sleeps). Instants of
// two machines are never compared.
using Instant = std::chrono::milliseconds;

// One run of a job on one worker, by the keeper that holds it. The epoch rises at every start of the job, so that at
// most one unit of a job is the current one, and nothing of an older one is ever accepted.
struct UnitKey {
  uint64_t job = 0;    // from 1
  uint64_t epoch = 0;  // from 1
  auto operator<=>(const UnitKey&) const = default;
};

// The promises about time. The whole point:
//
//   keeper       sent ........................ sent + lease: freezes   (+ stop_bound: surely frozen)
//   controller          granted ....................................... granted + lease + stop_bound + drift_bound:
//                                                                      may start the job elsewhere
//
// `sent` is before `granted` in any case, so the controller needs no knowledge of the way between them.
struct LeaseTerms {
  Span lease{3'000};
  Span renew_every{1'000};
  // From the end of the lease until the unit surely stands still; it is killed if it does not by two thirds of it.
  Span stop_bound{3'000};
  // How far two clocks can drift apart while one lease runs, with much room.
  Span drift_bound{500};
  // A keeper that hears nothing of its worker for so long asks the controller itself.
  Span worker_silence{1'500};
  // Making a unit may take so long; its keeper does not ask for a lease meanwhile, and nothing runs.
  Span prepare_max{std::chrono::hours(1)};
  // A unit that is frozen for so long is given up.
  Span frozen_max{std::chrono::hours(24)};
  // What a keeper sends so much ahead of its worker's next report goes along with it.
  Span ahead{100};

  Span HandOverAfter() const { return lease + stop_bound + drift_bound; }
};

}  // namespace baton::pool
