// What a worker decides: what it reports, which keepers it starts, and what it passes on to them. It grants nothing
// itself: it carries the keepers' requests for their leases to the controller, many in one report, and the answers
// back.
//
// Invariants
//  1. A unit is started at most once, ever: it stays in the list until the controller has said to forget it, which it
//     does when the end of it is on its disk; and an answer older than one that was taken already is not looked at.
//  2. A unit is started only within the lease that the report bought whose answer has the order.
//  3. A grant is passed on with the instant at which the keeper itself sent its request.
//
// What the surrounding program owes: StartUnit is on disk before anything is started (and the list comes back from
// there after the daemon, or the machine, was gone: see MakeWorker), and UnitGone comes only when nothing of the unit
// is left.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "pool/decide/messages.h"
#include "pool/decide/terms.h"

namespace baton::pool {

struct WorkerState {
  struct Unit {
    KeeperReport report;
    // When the keeper sent its newest request that is in no report yet.
    std::optional<Instant> asked_at = {};
  };
  struct Sent {
    Instant sent_at{0};
    std::map<UnitKey, Instant> asked_at;  // of the requests that went along
  };

  std::string id;
  uint64_t incarnation = 0;
  std::string boot_id;
  LeaseTerms terms;
  Capacity capacity;
  bool leaving = false;
  uint64_t next_sequence = 1;
  uint64_t answered = 0;          // the newest report whose answer was taken
  std::map<uint64_t, Sent> sent;  // by sequence; those that may still be answered in time
  Instant next_report_at{0};
  std::optional<Instant> extra_report_at;  // news, out of turn
  std::map<UnitKey, Unit> units;
};

// Events.
struct WorkerTick {};
// From a keeper that is connected; it sent this at `sent_at`.
struct KeeperSaid {
  KeeperReport report;
  Instant sent_at{0};
};
// Nothing of the unit is left; how it ended is in `ended`, if it had come to that.
struct UnitGone {
  UnitKey unit;
  std::string why;
  std::optional<KeeperReport> ended = {};
};
struct UnitNotStarted {
  UnitKey unit;
  std::string why;
};
struct OrdersCame {
  WorkerOrders orders;
};
// The machine is about to go.
struct LeaveAsked {};
using WorkerEvent = std::variant<WorkerTick, KeeperSaid, UnitGone, UnitNotStarted, OrdersCame, LeaveAsked>;

// Actions.
struct SendWorkerReport {
  WorkerReport report;
};
struct StartUnit {
  StartOrder order;
  Instant granted_until{0};
};
// Kill the keeper, and with it the unit; answer with UnitGone.
struct KillKeeper {
  UnitKey unit;
};
struct InstructKeeper {
  Instruction instruction;
};
// Its report came; by this it knows that its worker lives.
struct AcknowledgeKeeper {
  UnitKey unit;
};
// Remove what is kept of it.
struct ForgetUnit {
  UnitKey unit;
};
using WorkerAction =
    std::variant<SendWorkerReport, StartUnit, KillKeeper, InstructKeeper, AcknowledgeKeeper, ForgetUnit>;

struct WorkerIdentity {
  std::string id;
  uint64_t incarnation = 0;
  std::string boot_id = {};
  Capacity capacity = {};
};

// `known`: the units on disk. Those that live: kPreparing until their keepers are heard; those whose end is on disk:
// kEnded; the rest: kDied.
WorkerState MakeWorker(const WorkerIdentity& identity, const LeaseTerms& terms, const std::vector<KeeperReport>& known,
                       Instant now);
std::vector<WorkerAction> Decide(WorkerState& worker, const WorkerEvent& event, Instant now);
Instant NextWake(const WorkerState& worker);

}  // namespace baton::pool
