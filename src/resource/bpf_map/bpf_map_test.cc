#include "resource/bpf_map/bpf_map.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/bpf.h>

#include "resource/bpf_map/bpf_map.pb.h"
#include "resource/bpf_map/entries.h"
#include "resource/common/kind_test_util.h"

namespace baton {
namespace {

template <typename Change>
ErrorCode With(Change change) {
  pb::BpfMapPayload message;
  message.set_type(BPF_MAP_TYPE_HASH);
  message.set_key_bytes(4);
  message.set_value_bytes(8);
  message.set_most_entries(10);
  change(message);
  const auto described = MakeBpfMapKind()->Describe(message.SerializeAsString());
  return described ? ErrorCode::kInternal : described.error().code();
}

TEST(BpfMap, RefusesHostilePayloads) {
  EXPECT_EQ(With([](auto&) {}), ErrorCode::kInternal);  // described without an error
  EXPECT_EQ(With([](auto& m) { m.set_type(BPF_MAP_TYPE_PROG_ARRAY); }), ErrorCode::kCorrupt);
  EXPECT_EQ(With([](auto& m) { m.set_key_bytes(0); }), ErrorCode::kCorrupt);
  EXPECT_EQ(With([](auto& m) { m.set_name("sixteen-letters!"); }), ErrorCode::kCorrupt);
  EXPECT_EQ(With([](auto& m) { m.set_access(O_ACCMODE); }), ErrorCode::kCorrupt);
  EXPECT_FALSE(MakeBpfMapKind()->Describe("\xff\xff\xff"));
}

TEST(BpfMap, EntriesOfAnotherSizeAreNotWritten) {
  pb::BpfMapPayload message;
  message.set_key_bytes(4);
  message.set_value_bytes(8);
  pb::BpfMapContent content;
  content.add_entries()->set_key("toolong");
  EXPECT_EQ(WriteEntries(-1, message, content).error().code(), ErrorCode::kCorrupt);
  content.mutable_entries(0)->set_key("four");
  content.mutable_entries(0)->set_value("short");
  EXPECT_EQ(WriteEntries(-1, message, content).error().code(), ErrorCode::kNotSupported);
}

}  // namespace
}  // namespace baton
