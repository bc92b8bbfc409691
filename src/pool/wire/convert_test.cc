#include "pool/wire/convert.h"

#include <gtest/gtest.h>

#include <string>

namespace baton {
namespace {

using pool::CheckpointRef;
using pool::KeeperReport;
using pool::Span;
using pool::UnitState;
using pool::Verdict;
using pool::WorkerOrders;
using pool::WorkerReport;

WorkerReport FullReport() {
  KeeperReport keeper{.unit = {.job = 1, .epoch = 2},
                      .state = UnitState::kFrozen,
                      .renew = true,
                      .exit_code = 3,
                      .result = "r",
                      .detail = "d",
                      .offers = {{.number = 4, .manifest_hash = "h", .bytes = 5, .pause = Span(6), .total = Span(7)}},
                      .request_done = 8,
                      .request_error = "e",
                      .checkpoint_error = "c",
                      .resumed_from = CheckpointRef{.epoch = 1, .number = 9},
                      .final_checkpoint = 10,
                      .frozen = Span(11)};
  return {.worker = "w",
          .incarnation = 12,
          .sequence = 13,
          .boot_id = "b",
          .partial = true,
          .capacity = {.cpus_milli = 14, .memory_bytes = 15},
          .leaving = true,
          .keepers = {keeper}};
}

WorkerOrders FullOrders() {
  return {.worker = "w",
          .incarnation = 1,
          .sequence = 2,
          .partial = true,
          .units = {{.unit = {.job = 3, .epoch = 4},
                     .verdict = Verdict::kGrant,
                     .request = 5,
                     .stop = true,
                     .answers = {{.number = 6, .accepted = true}}}},
          .starts = {{.unit = {.job = 7, .epoch = 8},
                      .spec = std::string("a\0b", 3),
                      .resume_from = {{.epoch = 9, .number = 10}}}}};
}

// A file's name may be any bytes; a message with such would not be read.
TEST(PoolWire, TextsOfErrorsAreMadeSuchThatTheyAreRead) {
  pool::KeeperReport report{.unit = {.job = 1, .epoch = 1}};
  report.detail = "a\xFF\xC3\xA9\xED\xA0\x80z\xC3";
  report.checkpoint_error = std::string(100'000, 'x');
  pb::UnitReport wire;
  ASSERT_TRUE(wire.ParseFromString(ToWire(report).SerializeAsString()));
  EXPECT_EQ(wire.detail(), "a?\xC3\xA9???z?");
  EXPECT_TRUE(FromWire(wire)) << "not too long, either";
}

// By their bytes: a field that one of the ways forgets makes a difference.
TEST(PoolWire, ReportsComeBackAsTheyWere) {
  const pb::WorkerReport wire = ToWire(FullReport());
  const auto back = FromWire(wire);
  ASSERT_TRUE(back) << back.error().ToString();
  EXPECT_EQ(ToWire(*back).SerializeAsString(), wire.SerializeAsString());
  EXPECT_EQ(back->keepers.at(0).offers.at(0).total, Span(7));
  EXPECT_EQ(back->keepers.at(0).resumed_from, (CheckpointRef{.epoch = 1, .number = 9}));
  EXPECT_EQ(back->keepers.at(0).frozen, Span(11));
  EXPECT_EQ(back->capacity.memory_bytes, 15U);
}

// Every field of the messages is set here, so that the test above compares them all.
void ExpectAllSet(const google::protobuf::Message& message) {
  const auto* descriptor = message.GetDescriptor();
  const auto* reflection = message.GetReflection();
  for (int i = 0; i < descriptor->field_count(); ++i) {
    const auto* field = descriptor->field(i);
    if (field->name() == "pool_id") continue;
    const bool set =
        field->is_repeated() ? reflection->FieldSize(message, field) > 0 : reflection->HasField(message, field);
    EXPECT_TRUE(set) << descriptor->name() << "." << field->name();
    if (!set || field->message_type() == nullptr) continue;
    ExpectAllSet(field->is_repeated() ? reflection->GetRepeatedMessage(message, field, 0)
                                      : reflection->GetMessage(message, field));
  }
}

TEST(PoolWire, NoFieldIsForgotten) {
  ExpectAllSet(ToWire(FullReport()));
  ExpectAllSet(ToWire(FullOrders()));
}

TEST(PoolWire, OrdersComeBackAsTheyWere) {
  const pb::WorkerOrders wire = ToWire(FullOrders());
  const auto back = FromWire(wire);
  ASSERT_TRUE(back) << back.error().ToString();
  EXPECT_EQ(ToWire(*back).SerializeAsString(), wire.SerializeAsString());
  EXPECT_EQ(back->starts.at(0).spec.size(), 3U);
}

TEST(PoolWire, EveryStateAndVerdictComesBack) {
  for (int state = 0; state <= static_cast<int>(UnitState::kRefused); ++state) {
    KeeperReport report{.unit = {.job = 1, .epoch = 1}, .state = static_cast<UnitState>(state)};
    EXPECT_EQ(FromWire(ToWire(report))->state, report.state);
  }
  for (int verdict = 0; verdict <= static_cast<int>(Verdict::kForget); ++verdict) {
    WorkerOrders orders = FullOrders();
    orders.units[0].verdict = static_cast<Verdict>(verdict);
    EXPECT_EQ(FromWire(ToWire(orders))->units.at(0).verdict, orders.units[0].verdict);
  }
}

TEST(PoolWire, InstructionsComeBackAsTheyWere) {
  pool::Instruction instruction{.order = FullOrders().units[0], .sent_at = Span(5), .next_report_at = Span(6)};
  auto back = FromWire(ToWire(instruction));
  ASSERT_TRUE(back);
  EXPECT_EQ(back->sent_at, Span(5));
  EXPECT_EQ(back->next_report_at, Span(6));
  EXPECT_EQ(back->order.answers.at(0).number, 6U);
  instruction.next_report_at.reset();
  EXPECT_FALSE(FromWire(ToWire(instruction))->next_report_at);
}

TEST(PoolWire, OtherVersionsAreRefusedByName) {
  pb::WorkerReport wire = ToWire(FullReport());
  wire.set_version(2);
  ASSERT_FALSE(FromWire(wire));
  EXPECT_EQ(FromWire(wire).error().code(), ErrorCode::kNotSupported);
}

TEST(PoolWire, NonsenseIsCorrupt) {
  const auto refused = [](auto change) {
    pb::WorkerReport wire = ToWire(FullReport());
    change(wire, *wire.mutable_units(0));
    const auto back = FromWire(wire);
    return !back && back.error().code() == ErrorCode::kCorrupt;
  };
  EXPECT_TRUE(refused([](auto& report, auto&) { report.clear_worker(); }));
  EXPECT_TRUE(refused([](auto& report, auto&) { report.set_worker(std::string(1000, 'x')); }));
  EXPECT_TRUE(refused([](auto& report, auto&) { report.set_memory_bytes(~uint64_t{0}); }));
  EXPECT_TRUE(refused([](auto&, auto& unit) { unit.clear_unit(); }));
  EXPECT_TRUE(refused([](auto&, auto& unit) { unit.set_state(pb::UNIT_STATE_UNSPECIFIED); }));
  EXPECT_TRUE(refused([](auto&, auto& unit) { unit.set_state(static_cast<pb::UnitState>(99)); }));
  EXPECT_TRUE(refused([](auto&, auto& unit) { unit.set_exit_code(-1); }));
  EXPECT_TRUE(refused([](auto&, auto& unit) { unit.set_frozen_ms(~uint64_t{0}); }));
  EXPECT_TRUE(refused([](auto&, auto& unit) { unit.mutable_resumed_from()->set_number(0); }));
  EXPECT_TRUE(refused([](auto&, auto& unit) { unit.mutable_offers(0)->set_number(0); }));
  EXPECT_TRUE(refused([](auto&, auto& unit) { unit.mutable_offers(0)->set_pause_ms(~uint64_t{0}); }));
}

}  // namespace
}  // namespace baton
