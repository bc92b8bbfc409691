#include "engine/native/sysv_record.h"

#include <gtest/gtest.h>

namespace baton {
namespace {

constexpr uint64_t kPage = 4096;

pb::SysvRecord Whole() {
  pb::SysvRecord record;
  pb::SysvSegment* segment = record.add_segments();
  segment->mutable_permissions()->set_id(98306);
  segment->mutable_permissions()->set_key(-5);
  segment->mutable_permissions()->set_mode(0640);
  segment->set_bytes(5000);
  pb::SysvSemaphores* set = record.add_semaphores();
  set->add_values(32767);
  set->add_pids(12);
  pb::SysvQueue* queue = record.add_queues();
  queue->set_most_bytes(16384);
  queue->add_messages()->set_type(1);
  return record;
}

template <typename Change>
ErrorCode With(Change change) {
  pb::SysvRecord record = Whole();
  change(record);
  const auto checked = CheckSysv(record);
  return checked ? ErrorCode::kInternal : checked.error().code();
}

TEST(SysvRecord, WhatCanBeIsAccepted) {
  EXPECT_TRUE(CheckSysv(pb::SysvRecord()));
  EXPECT_TRUE(CheckSysv(Whole()));
  EXPECT_EQ(AttachedBytes(Whole().segments(0)), 2 * kPage);
  EXPECT_EQ(DescribeSysv(Whole()),
            "System V: 1 segments of shared memory (5000 bytes), 1 semaphore sets, 1 message queues");
}

TEST(SysvRecord, WhatCannotBeIsCorrupt) {
  EXPECT_EQ(With([](auto& r) { r.mutable_segments(0)->set_bytes(0); }), ErrorCode::kCorrupt);
  EXPECT_EQ(With([](auto& r) { r.mutable_segments(0)->set_bytes(~0ULL); }), ErrorCode::kCorrupt);
  EXPECT_EQ(With([](auto& r) { r.mutable_segments(0)->set_page_bytes(4097); }), ErrorCode::kCorrupt);
  EXPECT_EQ(With([](auto& r) { r.mutable_segments(0)->mutable_permissions()->set_id(-1); }), ErrorCode::kCorrupt);
  EXPECT_EQ(With([](auto& r) { r.mutable_segments(0)->mutable_permissions()->set_mode(01777); }), ErrorCode::kCorrupt);
  EXPECT_EQ(With([](auto& r) { *r.add_segments() = r.segments(0); }), ErrorCode::kCorrupt);  // one id twice
  EXPECT_EQ(With([](auto& r) {
              *r.add_segments() = r.segments(0);
              r.mutable_segments(1)->mutable_permissions()->set_id(7);
            }),
            ErrorCode::kCorrupt);  // one key twice
  EXPECT_EQ(With([](auto& r) { r.mutable_semaphores(0)->set_values(0, 32768); }), ErrorCode::kCorrupt);
  EXPECT_EQ(With([](auto& r) { r.mutable_semaphores(0)->add_values(1); }), ErrorCode::kCorrupt);
  EXPECT_EQ(With([](auto& r) { r.mutable_semaphores(0)->set_pids(0, -1); }), ErrorCode::kCorrupt);
  EXPECT_EQ(With([](auto& r) { r.mutable_queues(0)->mutable_messages(0)->set_type(0); }), ErrorCode::kCorrupt);
  EXPECT_EQ(With([](auto& r) { r.mutable_queues(0)->set_most_bytes(~0ULL); }), ErrorCode::kCorrupt);
}

TEST(SysvRecord, MappingsMustLieInTheirSegment) {
  const pb::SysvRecord record = Whole();
  const auto attached = [&](uint64_t id, uint64_t offset, uint64_t bytes) {
    pb::MappingRecord mapping;
    mapping.set_shared(true);
    mapping.set_start(0x700000);
    mapping.set_object(id);
    mapping.set_offset(offset);
    mapping.set_bytes(bytes);
    return CheckAttached(record, mapping).has_value();
  };
  EXPECT_TRUE(attached(98306, 0, 2 * kPage));
  EXPECT_TRUE(attached(98306, kPage, kPage));
  EXPECT_FALSE(attached(98306, kPage, 2 * kPage));
  EXPECT_FALSE(attached(98306, 2 * kPage, kPage));
  EXPECT_FALSE(attached(98306, ~0ULL - kPage + 1, kPage));
  EXPECT_FALSE(attached(98306, 5, kPage));
  EXPECT_FALSE(attached(3, 0, kPage));
}

}  // namespace
}  // namespace baton
