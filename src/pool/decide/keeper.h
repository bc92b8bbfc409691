// What a keeper of a pool decides: whether its unit may run (the lease), when to make a checkpoint, and what it tells.
//
// Invariants
//  1. The unit runs only until `sent + lease` of the newest renewal that was granted for its very epoch; from then on
//  it
//     is frozen or being frozen, and killed if it cannot be frozen in time.
//  2. Only a grant for its own epoch lets a frozen unit go on; nothing lets a stopped one go on.
//  3. Told of a higher epoch (or of the job's end), the unit is killed.
//  4. An ended unit stays for as long as its worker is away, and reports its end itself: its lease would run out
//  otherwise.
//  5. A checkpoint is offered again and again until it was accepted or refused.
//
// Use: state = MakeKeeper(...); for each event: do what Decide returns, in order; call it with Tick at NextWake(state).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "pool/decide/messages.h"
#include "pool/decide/terms.h"

namespace baton::pool {

struct KeeperState {
  enum class Phase {
    kPreparing,
    kRunning,
    kFreezing,  // told to freeze, not yet known to stand still
    kFrozen,
    kStopped,
    kEnded,
    kGone,
  };
  UnitKey unit;
  LeaseTerms terms;
  Phase phase = Phase::kPreparing;

  // The lease.
  Instant lease_end{0};
  Instant freeze_began{0};  // kFreezing
  Instant frozen_since{0};  // kFreezing, kFrozen, kPreparing
  Span frozen_before{0};    // earlier times
  Instant renew_at{0};
  Instant worker_heard_at{0};
  bool worker_there = false;    // a connection stands; so it is at first, as the worker starts the keeper
  bool asked_directly = false;  // by the last report

  // Checkpoints. 0: none.
  Span every{0};  // 0: only when asked
  Instant next_checkpoint_at{0};
  uint64_t next_number = 1;
  bool checkpointing = false;
  bool final_checkpoint = false;  // of the one under way: the unit stands still after it
  uint64_t request_wanted = 0;
  uint64_t request_under_way = 0;  // the one under way answers requests up to this
  uint64_t request_done = 0;
  std::string request_error;
  std::string checkpoint_error;
  bool stop_wanted = false;
  bool program_asks = false;
  uint64_t stopped_with = 0;
  std::vector<CheckpointOffer> offers;

  std::optional<CheckpointRef> resumed_from;
  int exit_code = 0;
  std::string result;
};

// Events.
struct KeeperTick {};
// A connection to the worker stands, or broke.
struct WorkerConnected {};
struct WorkerDisconnected {};
// The worker is there, though it may have nothing to say.
struct WorkerHeard {};
// The program is there, stopped before its first step.
struct UnitReady {
  std::optional<CheckpointRef> resumed_from;
};
// It stands still, as FreezeUnit asked.
struct UnitFrozen {};
// The program has ended by itself, and this is on disk.
struct UnitEnded {
  int exit_code = 0;
  std::string result;
};
struct CheckpointMade {
  CheckpointOffer offer;
};
// The program itself wants one; the one under way, if any, came too early for it.
struct ProgramAsks {};
// The unit goes on as far as the lease lets it, after a final one, too.
struct CheckpointFailed {
  std::string why;
};
using KeeperEvent = std::variant<KeeperTick, WorkerConnected, WorkerDisconnected, WorkerHeard, Instruction, UnitReady,
                                 UnitFrozen, UnitEnded, CheckpointMade, CheckpointFailed, ProgramAsks>;

// Actions.
// Tell the worker, or the controller itself, how things are; it is the request for the lease, sent at `sent_at`.
struct SendKeeperReport {
  KeeperReport report;
  Instant sent_at{0};
  bool direct = false;
};
// Stop the unit and answer with UnitFrozen. While a checkpoint holds it, that is soon done.
struct FreezeUnit {};
// The unit may run. Where a final checkpoint holds it, only if that fails.
struct RunUnit {};
// Kill it, and end. The last action there is.
struct KillUnit {
  std::string why;
};
// The program has ended and its end is on disk, where the worker finds it: go. The last action there is.
struct Leave {};
// Answer with CheckpointMade or CheckpointFailed.
struct MakeCheckpoint {
  uint64_t number = 0;
  bool final = false;  // the unit must not run after it was captured
};
using KeeperAction = std::variant<SendKeeperReport, FreezeUnit, RunUnit, KillUnit, Leave, MakeCheckpoint>;

// `granted_until` comes with the order to start: when the worker sent the report that the order answers, plus the
// lease.
KeeperState MakeKeeper(UnitKey unit, const LeaseTerms& terms, Span every, Instant granted_until, Instant now);
std::vector<KeeperAction> Decide(KeeperState& keeper, const KeeperEvent& event, Instant now);
// When the next Tick is due, at the latest.
Instant NextWake(const KeeperState& keeper);
KeeperReport ReportOf(const KeeperState& keeper, Instant now);

}  // namespace baton::pool
