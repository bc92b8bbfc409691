// What keepers, workers and the controller tell each other, as plain values. All of it is state, not steps: a report
// says what is, an order what should be, and either may be lost, repeated or late without harm, because the next one
// says it again.
//
//   keeper --KeeperReport--> worker --WorkerReport--> controller
//   keeper <-Instruction---- worker <-WorkerOrders---
//
// A keeper whose worker is silent sends the same WorkerReport by itself, marked as partial.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "pool/decide/terms.h"

namespace baton::pool {

enum class UnitState {
  kPreparing,  // being started or restored; the program does not run yet. Also: alive, not heard of yet
  kRunning,
  kFrozen,   // without a lease
  kStopped,  // saved for good: stands still until it is killed
  kEnded,    // the program ended by itself
  kDied,     // it, or its keeper, was killed; nothing is left of it
  kRefused,  // it could not be started; nothing is left of it
};

// Nothing of the unit runs, or can run again.
constexpr bool IsOver(UnitState state) {
  return state == UnitState::kEnded || state == UnitState::kDied || state == UnitState::kRefused;
}

// Of one job; ordered by age.
struct CheckpointRef {
  uint64_t epoch = 0;
  uint64_t number = 0;  // from 1 in each epoch
  auto operator<=>(const CheckpointRef&) const = default;
};

// A checkpoint that is complete in the store, under the directory of its unit's epoch, but exists only once it is in
// the controller's catalogue.
struct CheckpointOffer {
  uint64_t number = 0;
  std::string manifest_hash = {};
  uint64_t bytes = 0;
  Span pause{0};
  Span total{0};
};

struct KeeperReport {
  UnitKey unit;
  UnitState state = UnitState::kPreparing;
  // The keeper asks for its lease (so it lives); false where the worker only knows that the unit is there.
  bool renew = false;
  int exit_code = 0;        // kEnded: as a shell would show it
  std::string result = {};  // kEnded: hash of the result in the store
  std::string detail = {};  // kDied, kRefused: why
  std::vector<CheckpointOffer> offers = {};
  // The highest request for a checkpoint that was tried, and what went wrong, if something did.
  uint64_t request_done = 0;
  std::string request_error = {};
  std::string checkpoint_error = {};  // of the last checkpoint that was tried; empty: it went well, or there was none
  std::optional<CheckpointRef> resumed_from = {};  // known from kRunning on
  uint64_t final_checkpoint = 0;                   // kStopped
  Span frozen{0};                                  // so far, in total
};

struct Capacity {
  uint32_t cpus_milli = 0;  // thousandths of a processor
  uint64_t memory_bytes = 0;
};

struct WorkerReport {
  std::string worker;
  // How often the worker's daemon was started; kept by it on disk. Of two reports the one with the higher (incarnation,
  // sequence) is newer.
  uint64_t incarnation = 0;
  uint64_t sequence = 0;
  std::string boot_id = {};
  // From a keeper by itself: what is missing here says nothing, and the sequence is the keeper's own.
  bool partial = false;
  Capacity capacity = {};
  bool leaving = false;  // the machine is about to go: no new jobs, and those it has should move
  std::vector<KeeperReport> keepers = {};
};

enum class Verdict {
  kNone,    // nothing new: not granted
  kGrant,   // the lease is renewed, counted from when the request was sent
  kKill,    // end it; not the current unit of its job any more
  kForget,  // it is over, and the controller knows for good
};

struct OfferAnswer {
  uint64_t number = 0;
  bool accepted = false;
};

struct UnitOrder {
  UnitKey unit;
  Verdict verdict = Verdict::kNone;
  // A checkpoint is wanted if this is higher than the unit's request_done.
  uint64_t request = 0;
  bool stop = false;  // with that checkpoint the unit stops for good
  std::vector<OfferAnswer> answers = {};
};

struct StartOrder {
  UnitKey unit;
  std::string spec = {};                        // what to run; not looked at here
  std::vector<CheckpointRef> resume_from = {};  // newest first: the first good one; none: from the beginning
};

struct WorkerOrders {
  std::string worker;
  uint64_t incarnation = 0;
  uint64_t sequence = 0;  // of the report that this answers
  bool partial = false;
  std::vector<UnitOrder> units = {};
  std::vector<StartOrder> starts = {};
};

// To a keeper from its worker, or (with `direct`) from the controller itself.
struct Instruction {
  UnitOrder order;
  Instant sent_at{0};                          // of the keeper's request that is answered; for kGrant
  std::optional<Instant> next_report_at = {};  // the worker's
  bool direct = false;
};

}  // namespace baton::pool
