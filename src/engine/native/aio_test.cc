#include "engine/native/aio.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <span>
#include <string>
#include <vector>

namespace baton {
namespace {

// The ring's first words as the kernel has them: id, slots, head, tail, magic.
pb::MappingRecord RingOf(std::vector<uint32_t> words) {
  pb::MappingRecord mapping;
  mapping.set_start(0x700000);
  mapping.set_bytes(4096);
  mapping.set_shared(true);
  std::string ring(4096, '\0');
  std::ranges::copy(std::as_bytes(std::span(words)), std::as_writable_bytes(std::span(ring)).begin());
  mapping.set_ring(ring);
  return mapping;
}

bool Sane(const pb::MappingRecord& mapping) {
  const auto checked = CheckAio(mapping);
  EXPECT_TRUE(checked || checked.error().code() == ErrorCode::kCorrupt);
  return checked.has_value();
}

TEST(AioRing, WhatTheKernelMakesIsAccepted) {
  EXPECT_TRUE(Sane(RingOf({0, 127, 3, 120, 0xa10a10a1})));
  EXPECT_TRUE(Sane(RingOf({0, 127, 4000000000, 0, 0xa10a10a1})));  // the head is the program's to write
}

TEST(AioRing, WhatCannotBeIsCorrupt) {
  EXPECT_FALSE(Sane(RingOf({0, 127, 3, 120, 0xa10a10a2})));
  EXPECT_FALSE(Sane(RingOf({0, 128, 3, 120, 0xa10a10a1})));  // more than fit in
  EXPECT_FALSE(Sane(RingOf({0, 0, 0, 0, 0xa10a10a1})));
  EXPECT_FALSE(Sane(RingOf({0, 127, 3, 127, 0xa10a10a1})));
  pb::MappingRecord mapping = RingOf({0, 127, 3, 120, 0xa10a10a1});
  mapping.set_bytes(8192);
  EXPECT_FALSE(Sane(mapping));
  mapping = RingOf({});
  EXPECT_FALSE(Sane(mapping));
  mapping.set_ring_inherited(true);
  EXPECT_TRUE(Sane(mapping));
  mapping.clear_ring();
  EXPECT_FALSE(Sane(mapping));
}

}  // namespace
}  // namespace baton
