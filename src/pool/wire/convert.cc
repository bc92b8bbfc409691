#include "pool/wire/convert.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace baton {
namespace {

using pool::CheckpointOffer;
using pool::CheckpointRef;
using pool::Span;
using pool::UnitKey;
using pool::UnitState;
using pool::Verdict;

// Bounds of what can be meant; with room. A span fits into 64 bits of microseconds.
constexpr size_t kMaxName = 256;
constexpr size_t kMaxText = 65'536;
constexpr size_t kMaxSpec = size_t{16} << 20;
constexpr int kMaxUnits = 100'000;
constexpr int kMaxList = 10'000;
constexpr uint64_t kMaxMs = std::numeric_limits<int64_t>::max() / 1'000;
constexpr int kMaxExitCode = 255;

template <typename... Args>
Error Bad(fmt::format_string<Args...> format, Args&&... args) {
  return MakeError(ErrorCode::kCorrupt, format, std::forward<Args>(args)...);
}

Result<> CheckText(const std::string& text, size_t most, const char* what) {
  if (text.size() > most) return Bad("{}: {} bytes, at most {}", what, text.size(), most);
  return {};
}

// How many bytes of `text` are one character in UTF-8; 0: none.
size_t CharacterAt(std::string_view text) {
  const auto first = static_cast<unsigned char>(text.front());
  const size_t size = first < 0x80 ? 1 : first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : first >= 0xC2 ? 2 : 0;
  if (size == 0 || size > text.size() || first > 0xF4) return 0;
  for (size_t i = 1; i < size; ++i) {
    const auto next = static_cast<unsigned char>(text[i]);
    if ((next & 0xC0U) != 0x80U) return 0;
  }
  const auto second = static_cast<unsigned char>(size > 1 ? text[1] : 0);
  const bool bad = (first == 0xE0 && second < 0xA0) || (first == 0xED && second > 0x9F) ||
                   (first == 0xF0 && second < 0x90) || (first == 0xF4 && second > 0x8F);
  return bad ? 0 : size;
}

// A text for people, from anywhere: file names in it may be any bytes, but a message must be one that can be read.
std::string Told(std::string_view text) {
  constexpr size_t kMost = 4'096;
  std::string told;
  while (!text.empty() && told.size() < kMost) {
    const size_t size = CharacterAt(text);
    told += size == 0 ? std::string_view("?") : text.substr(0, size);
    text.remove_prefix(std::max<size_t>(size, 1));
  }
  return told;
}

Result<Span> SpanOf(uint64_t value_ms, const char* what) {
  if (value_ms > kMaxMs) return Bad("{}: {} ms", what, value_ms);
  return Span(static_cast<int64_t>(value_ms));
}

uint64_t MsOf(Span span) { return static_cast<uint64_t>(span.count()); }

void Fill(const UnitKey& unit, pb::Unit* wire) {
  wire->set_job(unit.job);
  wire->set_epoch(unit.epoch);
}

Result<UnitKey> UnitOf(const pb::Unit& wire) {
  if (wire.job() == 0 || wire.epoch() == 0) return Bad("unit {}.{}", wire.job(), wire.epoch());
  return UnitKey{.job = wire.job(), .epoch = wire.epoch()};
}

void Fill(const CheckpointRef& ref, pb::CheckpointId* wire) {
  wire->set_epoch(ref.epoch);
  wire->set_number(ref.number);
}

Result<CheckpointRef> RefOf(const pb::CheckpointId& wire) {
  if (wire.epoch() == 0 || wire.number() == 0) return Bad("checkpoint {}.{}", wire.epoch(), wire.number());
  return CheckpointRef{.epoch = wire.epoch(), .number = wire.number()};
}

Result<UnitState> StateOf(pb::UnitState wire) {
  switch (wire) {
    case pb::PREPARING:
      return UnitState::kPreparing;
    case pb::RUNNING:
      return UnitState::kRunning;
    case pb::FROZEN:
      return UnitState::kFrozen;
    case pb::STOPPED:
      return UnitState::kStopped;
    case pb::ENDED:
      return UnitState::kEnded;
    case pb::DIED:
      return UnitState::kDied;
    case pb::REFUSED:
      return UnitState::kRefused;
    default:
      return Bad("state {} of a unit", static_cast<int>(wire));
  }
}

pb::UnitState ToWire(UnitState state) {
  switch (state) {
    case UnitState::kPreparing:
      return pb::PREPARING;
    case UnitState::kRunning:
      return pb::RUNNING;
    case UnitState::kFrozen:
      return pb::FROZEN;
    case UnitState::kStopped:
      return pb::STOPPED;
    case UnitState::kEnded:
      return pb::ENDED;
    case UnitState::kDied:
      return pb::DIED;
    case UnitState::kRefused:
      return pb::REFUSED;
  }
  return pb::UNIT_STATE_UNSPECIFIED;
}

Result<Verdict> VerdictOf(pb::Verdict wire) {
  switch (wire) {
    case pb::NONE:
      return Verdict::kNone;
    case pb::GRANT:
      return Verdict::kGrant;
    case pb::KILL:
      return Verdict::kKill;
    case pb::FORGET:
      return Verdict::kForget;
    default:
      return Bad("verdict {}", static_cast<int>(wire));
  }
}

pb::Verdict ToWire(Verdict verdict) {
  switch (verdict) {
    case Verdict::kNone:
      return pb::NONE;
    case Verdict::kGrant:
      return pb::GRANT;
    case Verdict::kKill:
      return pb::KILL;
    case Verdict::kForget:
      return pb::FORGET;
  }
  return pb::NONE;
}

Result<CheckpointOffer> OfferOf(const pb::CheckpointOffer& wire) {
  if (wire.number() == 0) return Bad("a checkpoint without a number");
  BATON_CHECKED(CheckText(wire.manifest_hash(), 128, "manifest hash"));
  CheckpointOffer offer{.number = wire.number(), .manifest_hash = wire.manifest_hash(), .bytes = wire.bytes()};
  BATON_TRY(offer.pause, SpanOf(wire.pause_ms(), "pause"));
  BATON_TRY(offer.total, SpanOf(wire.total_ms(), "total"));
  return offer;
}

void Fill(const CheckpointOffer& offer, pb::CheckpointOffer* wire) {
  wire->set_number(offer.number);
  wire->set_manifest_hash(offer.manifest_hash);
  wire->set_bytes(offer.bytes);
  wire->set_pause_ms(MsOf(offer.pause));
  wire->set_total_ms(MsOf(offer.total));
}

void Fill(const pool::UnitOrder& order, pb::UnitOrder* wire) {
  Fill(order.unit, wire->mutable_unit());
  wire->set_verdict(ToWire(order.verdict));
  wire->set_request(order.request);
  wire->set_stop(order.stop);
  for (const pool::OfferAnswer& answer : order.answers) {
    auto* to = wire->add_answers();
    to->set_number(answer.number);
    to->set_accepted(answer.accepted);
  }
}

Result<pool::UnitOrder> OrderOf(const pb::UnitOrder& wire) {
  pool::UnitOrder order;
  BATON_TRY(order.unit, UnitOf(wire.unit()));
  BATON_TRY(order.verdict, VerdictOf(wire.verdict()));
  order.request = wire.request();
  order.stop = wire.stop();
  if (wire.answers_size() > kMaxList) return Bad("{} answers", wire.answers_size());
  for (const pb::OfferAnswer& answer : wire.answers()) {
    order.answers.push_back({.number = answer.number(), .accepted = answer.accepted()});
  }
  return order;
}

Result<pool::StartOrder> StartOf(const pb::StartOrder& wire) {
  pool::StartOrder order;
  BATON_TRY(order.unit, UnitOf(wire.unit()));
  BATON_CHECKED(CheckText(wire.spec(), kMaxSpec, "spec"));
  order.spec = wire.spec();
  if (wire.resume_from_size() > kMaxList) return Bad("{} checkpoints", wire.resume_from_size());
  for (const pb::CheckpointId& id : wire.resume_from()) {
    BATON_TRY(const CheckpointRef ref, RefOf(id));
    order.resume_from.push_back(ref);
  }
  return order;
}

Result<> CheckVersion(uint32_t version) {
  if (version == kPoolVersion) return {};
  return MakeError(ErrorCode::kNotSupported, "version {} of the pool's messages; this Baton speaks {}", version,
                   kPoolVersion);
}

}  // namespace

pb::UnitReport ToWire(const pool::KeeperReport& report) {
  pb::UnitReport wire;
  Fill(report.unit, wire.mutable_unit());
  wire.set_state(ToWire(report.state));
  wire.set_renew(report.renew);
  wire.set_exit_code(report.exit_code);
  wire.set_result(report.result);
  wire.set_detail(Told(report.detail));
  for (const CheckpointOffer& offer : report.offers) Fill(offer, wire.add_offers());
  wire.set_request_done(report.request_done);
  wire.set_request_error(Told(report.request_error));
  wire.set_checkpoint_error(Told(report.checkpoint_error));
  if (report.resumed_from) Fill(*report.resumed_from, wire.mutable_resumed_from());
  wire.set_final_checkpoint(report.final_checkpoint);
  wire.set_frozen_ms(MsOf(report.frozen));
  return wire;
}

Result<pool::KeeperReport> FromWire(const pb::UnitReport& wire) {
  pool::KeeperReport report;
  BATON_TRY(report.unit, UnitOf(wire.unit()));
  BATON_TRY(report.state, StateOf(wire.state()));
  report.renew = wire.renew();
  if (wire.exit_code() < 0 || wire.exit_code() > kMaxExitCode) return Bad("exit code {}", wire.exit_code());
  report.exit_code = wire.exit_code();
  BATON_CHECKED(CheckText(wire.result(), kMaxName, "result"));
  BATON_CHECKED(CheckText(wire.detail(), kMaxText, "detail"));
  BATON_CHECKED(CheckText(wire.request_error(), kMaxText, "error"));
  BATON_CHECKED(CheckText(wire.checkpoint_error(), kMaxText, "error"));
  report.result = wire.result();
  report.detail = wire.detail();
  if (wire.offers_size() > kMaxList) return Bad("{} offers", wire.offers_size());
  for (const pb::CheckpointOffer& offer : wire.offers()) {
    BATON_TRY(CheckpointOffer taken, OfferOf(offer));
    report.offers.push_back(std::move(taken));
  }
  report.request_done = wire.request_done();
  report.request_error = wire.request_error();
  report.checkpoint_error = wire.checkpoint_error();
  if (wire.has_resumed_from()) {
    BATON_TRY(report.resumed_from, RefOf(wire.resumed_from()));
  }
  report.final_checkpoint = wire.final_checkpoint();
  BATON_TRY(report.frozen, SpanOf(wire.frozen_ms(), "time frozen"));
  return report;
}

pb::WorkerReport ToWire(const pool::WorkerReport& report) {
  pb::WorkerReport wire;
  wire.set_version(kPoolVersion);
  wire.set_worker(report.worker);
  wire.set_incarnation(report.incarnation);
  wire.set_sequence(report.sequence);
  wire.set_boot_id(report.boot_id);
  wire.set_partial(report.partial);
  wire.set_cpus_milli(report.capacity.cpus_milli);
  wire.set_memory_bytes(report.capacity.memory_bytes);
  wire.set_leaving(report.leaving);
  for (const pool::KeeperReport& keeper : report.keepers) *wire.add_units() = ToWire(keeper);
  return wire;
}

Result<pool::WorkerReport> FromWire(const pb::WorkerReport& wire) {
  BATON_CHECKED(CheckVersion(wire.version()));
  if (wire.worker().empty()) return Bad("a worker without a name");
  BATON_CHECKED(CheckText(wire.worker(), kMaxName, "name of a worker"));
  BATON_CHECKED(CheckText(wire.boot_id(), kMaxName, "boot id"));
  constexpr uint64_t kMaxMemory = uint64_t{1} << 60;
  if (wire.memory_bytes() > kMaxMemory) return Bad("{} bytes of memory", wire.memory_bytes());
  pool::WorkerReport report{.worker = wire.worker(),
                            .incarnation = wire.incarnation(),
                            .sequence = wire.sequence(),
                            .boot_id = wire.boot_id(),
                            .partial = wire.partial(),
                            .capacity = {.cpus_milli = wire.cpus_milli(), .memory_bytes = wire.memory_bytes()},
                            .leaving = wire.leaving()};
  if (wire.units_size() > kMaxUnits) return Bad("{} units", wire.units_size());
  for (const pb::UnitReport& unit : wire.units()) {
    BATON_TRY(pool::KeeperReport keeper, FromWire(unit));
    report.keepers.push_back(std::move(keeper));
  }
  return report;
}

pb::WorkerOrders ToWire(const pool::WorkerOrders& orders) {
  pb::WorkerOrders wire;
  wire.set_version(kPoolVersion);
  wire.set_worker(orders.worker);
  wire.set_incarnation(orders.incarnation);
  wire.set_sequence(orders.sequence);
  wire.set_partial(orders.partial);
  for (const pool::UnitOrder& order : orders.units) Fill(order, wire.add_units());
  for (const pool::StartOrder& order : orders.starts) {
    auto* to = wire.add_starts();
    Fill(order.unit, to->mutable_unit());
    to->set_spec(order.spec);
    for (const CheckpointRef& ref : order.resume_from) Fill(ref, to->add_resume_from());
  }
  return wire;
}

Result<pool::WorkerOrders> FromWire(const pb::WorkerOrders& wire) {
  BATON_CHECKED(CheckVersion(wire.version()));
  pool::WorkerOrders orders{.worker = wire.worker(),
                            .incarnation = wire.incarnation(),
                            .sequence = wire.sequence(),
                            .partial = wire.partial()};
  if (wire.units_size() > kMaxUnits || wire.starts_size() > kMaxUnits) return Bad("too many orders");
  for (const pb::UnitOrder& unit : wire.units()) {
    BATON_TRY(pool::UnitOrder order, OrderOf(unit));
    orders.units.push_back(std::move(order));
  }
  for (const pb::StartOrder& start : wire.starts()) {
    BATON_TRY(pool::StartOrder order, StartOf(start));
    orders.starts.push_back(std::move(order));
  }
  return orders;
}

pb::KeeperInstruction ToWire(const pool::Instruction& instruction) {
  pb::KeeperInstruction wire;
  Fill(instruction.order, wire.mutable_order());
  wire.set_sent_at_ms(MsOf(instruction.sent_at));
  if (instruction.next_report_at) wire.set_next_report_at_ms(MsOf(*instruction.next_report_at));
  return wire;
}

Result<pool::Instruction> FromWire(const pb::KeeperInstruction& wire) {
  pool::Instruction instruction;
  BATON_TRY(instruction.order, OrderOf(wire.order()));
  BATON_TRY(instruction.sent_at, SpanOf(wire.sent_at_ms(), "instant"));
  if (wire.has_next_report_at_ms()) {
    BATON_TRY(instruction.next_report_at, SpanOf(wire.next_report_at_ms(), "instant"));
  }
  return instruction;
}

}  // namespace baton
