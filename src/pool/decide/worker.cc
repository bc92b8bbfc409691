#include "pool/decide/worker.h"

#include <algorithm>
#include <utility>

namespace baton::pool {
namespace {

using Actions = std::vector<WorkerAction>;

// News goes out of turn, but not each piece of it by itself.
constexpr Span kExtraDelay(20);

void AskForReport(WorkerState& worker, Instant now) {
  if (!worker.extra_report_at) worker.extra_report_at = now + kExtraDelay;
}

// What the controller should hear of before its turn.
bool IsNews(const KeeperReport& before, const KeeperReport& now) {
  return before.state != now.state || before.offers.size() < now.offers.size() ||
         before.request_done != now.request_done;
}

bool ReportIsDue(const WorkerState& worker, Instant now) {
  return now >= worker.next_report_at || (worker.extra_report_at && now >= *worker.extra_report_at);
}

WorkerReport MakeReport(WorkerState& worker, WorkerState::Sent* sent) {
  WorkerReport report{.worker = worker.id,
                      .incarnation = worker.incarnation,
                      .sequence = worker.next_sequence,
                      .boot_id = worker.boot_id,
                      .partial = false,
                      .capacity = worker.capacity,
                      .leaving = worker.leaving,
                      .keepers = {}};
  for (auto& [key, unit] : worker.units) {
    report.keepers.push_back(unit.report);
    report.keepers.back().renew = unit.asked_at.has_value();
    if (unit.asked_at) sent->asked_at.emplace(key, *unit.asked_at);
    unit.asked_at.reset();
  }
  return report;
}

void SendReport(WorkerState& worker, Instant now, Actions& actions) {
  if (!ReportIsDue(worker, now)) return;
  // The regular turns keep their beat, which the keepers know, unless we slept through them.
  if (now >= worker.next_report_at) {
    const Instant next = worker.next_report_at + worker.terms.renew_every;
    worker.next_report_at = next > now ? next : now + worker.terms.renew_every;
  }
  worker.extra_report_at.reset();
  WorkerState::Sent sent{.sent_at = now, .asked_at = {}};
  actions.emplace_back(SendWorkerReport{.report = MakeReport(worker, &sent)});
  worker.sent.emplace(worker.next_sequence++, std::move(sent));
  // An answer to these would buy nothing any more.
  std::erase_if(worker.sent, [&](const auto& entry) { return entry.second.sent_at + worker.terms.lease <= now; });
}

class Handler {
 public:
  Handler(WorkerState* worker, Instant now, Actions* actions) : worker_(*worker), now_(now), actions_(*actions) {}

  void operator()(const WorkerTick&) const {}

  void operator()(const KeeperSaid& said) const {
    const auto found = worker_.units.find(said.report.unit);
    // Forgotten: whatever it is, the controller wants nothing of it.
    if (found == worker_.units.end()) {
      actions_.emplace_back(KillKeeper{.unit = said.report.unit});
      return;
    }
    WorkerState::Unit& unit = found->second;
    // That a unit is over is known when nothing of it is left, not before: see UnitGone.
    if (IsOver(unit.report.state) || IsOver(said.report.state)) return;
    if (IsNews(unit.report, said.report)) AskForReport(worker_, now_);
    unit.report = said.report;
    unit.asked_at = said.sent_at;
    actions_.emplace_back(AcknowledgeKeeper{.unit = said.report.unit});
  }

  void operator()(const UnitGone& gone) const {
    const auto found = worker_.units.find(gone.unit);
    if (found == worker_.units.end() || IsOver(found->second.report.state)) return;
    if (gone.ended) {
      found->second.report = *gone.ended;
    } else {
      End(found->second, UnitState::kDied, gone.why);
    }
    found->second.asked_at.reset();
    AskForReport(worker_, now_);
  }

  void operator()(const UnitNotStarted& failed) const {
    const auto found = worker_.units.find(failed.unit);
    if (found == worker_.units.end() || IsOver(found->second.report.state)) return;
    End(found->second, UnitState::kRefused, failed.why);
    AskForReport(worker_, now_);
  }

  void operator()(const LeaveAsked&) const {
    worker_.leaving = true;
    AskForReport(worker_, now_);
  }

  void operator()(const OrdersCame& came) const {
    const WorkerOrders& orders = came.orders;
    if (orders.worker != worker_.id || orders.incarnation != worker_.incarnation || orders.partial) return;
    const auto answered = worker_.sent.find(orders.sequence);
    if (answered == worker_.sent.end() || orders.sequence <= worker_.answered) return;
    worker_.answered = orders.sequence;
    const WorkerState::Sent sent = std::move(answered->second);
    worker_.sent.erase(worker_.sent.begin(), std::next(answered));
    for (const UnitOrder& order : orders.units) Follow(order, sent);
    for (const StartOrder& order : orders.starts) Start(order, sent);
  }

 private:
  // What it had to offer stays: a checkpoint that is complete does not need the unit.
  static void End(WorkerState::Unit& unit, UnitState state, const std::string& why) {
    unit.report.state = state;
    unit.report.detail = why;
  }

  void Follow(const UnitOrder& order, const WorkerState::Sent& sent) const {
    const auto found = worker_.units.find(order.unit);
    if (found == worker_.units.end()) return;
    const bool over = IsOver(found->second.report.state);
    if (over && order.verdict == Verdict::kForget) {
      actions_.emplace_back(ForgetUnit{.unit = order.unit});
      worker_.units.erase(found);
    } else if (over) {
      DropOffers(found->second, order);
    } else if (order.verdict == Verdict::kKill || order.verdict == Verdict::kForget) {
      actions_.emplace_back(KillKeeper{.unit = order.unit});
    } else {
      Instruct(order, sent);
    }
  }

  void Instruct(const UnitOrder& order, const WorkerState::Sent& sent) const {
    Instruction instruction{.order = order, .sent_at = {}, .next_report_at = worker_.next_report_at, .direct = false};
    const auto asked = sent.asked_at.find(order.unit);
    // Nobody asked, so nobody can be granted anything.
    if (asked == sent.asked_at.end()) {
      if (order.verdict == Verdict::kGrant) instruction.order.verdict = Verdict::kNone;
    } else {
      instruction.sent_at = asked->second;
    }
    actions_.emplace_back(InstructKeeper{.instruction = std::move(instruction)});
  }

  static void DropOffers(WorkerState::Unit& unit, const UnitOrder& order) {
    for (const OfferAnswer& answer : order.answers) {
      std::erase_if(unit.report.offers, [&](const CheckpointOffer& offer) { return offer.number == answer.number; });
    }
  }

  void Start(const StartOrder& order, const WorkerState::Sent& sent) const {
    const Instant granted_until = sent.sent_at + worker_.terms.lease;
    if (worker_.units.contains(order.unit) || now_ >= granted_until) return;
    WorkerState::Unit& unit = worker_.units[order.unit];
    unit.report.unit = order.unit;
    AskForReport(worker_, now_);
    if (worker_.leaving) return End(unit, UnitState::kRefused, "the machine is about to go");
    actions_.emplace_back(StartUnit{.order = order, .granted_until = granted_until});
  }

  WorkerState& worker_;
  Instant now_;
  Actions& actions_;
};

}  // namespace

WorkerState MakeWorker(const WorkerIdentity& identity, const LeaseTerms& terms, const std::vector<KeeperReport>& known,
                       Instant now) {
  WorkerState worker;
  worker.id = identity.id;
  worker.incarnation = identity.incarnation;
  worker.boot_id = identity.boot_id;
  worker.capacity = identity.capacity;
  worker.terms = terms;
  worker.next_report_at = now;
  for (const KeeperReport& report : known) worker.units.emplace(report.unit, WorkerState::Unit{.report = report});
  return worker;
}

std::vector<WorkerAction> Decide(WorkerState& worker, const WorkerEvent& event, Instant now) {
  Actions actions;
  std::visit(Handler(&worker, now, &actions), event);
  SendReport(worker, now, actions);
  return actions;
}

Instant NextWake(const WorkerState& worker) {
  return std::min(worker.next_report_at, worker.extra_report_at.value_or(worker.next_report_at));
}

}  // namespace baton::pool
