#include "proc/timens_offsets.h"

#include "proc/parser_test_util.h"

namespace baton {
namespace {

TEST(ProcTimensOffsets, BothClocks) {
  const auto offsets = ParseTimensOffsets("monotonic           0         0\nboottime           -5 999999999\n");
  ASSERT_TRUE(offsets) << offsets.error().ToString();
  EXPECT_EQ(offsets->monotonic.seconds, 0);
  EXPECT_EQ(offsets->boottime.seconds, -5);
  EXPECT_EQ(offsets->boottime.nanoseconds, 999999999);
}

TEST(ProcTimensOffsets, FirstKernelsWroteNumbers) {
  const auto offsets = ParseTimensOffsets("1          7         8\n7          9         10\n");
  ASSERT_TRUE(offsets) << offsets.error().ToString();
  EXPECT_EQ(offsets->monotonic.nanoseconds, 8);
  EXPECT_EQ(offsets->boottime.seconds, 9);
}

TEST(ProcTimensOffsets, ZombieHasNone) {
  const auto offsets = ParseTimensOffsets("");
  ASSERT_FALSE(offsets);
  EXPECT_EQ(offsets.error().code(), ErrorCode::kNotFound);
}

TEST(ProcTimensOffsets, MalformedLinesAreQuoted) {
  for (const std::string_view line : {"realtime 0 0", "monotonic 0", "monotonic 0 x", "monotonic 0 1000000000",
                                      "monotonic 0 -1", "monotonic 0 0 0", "boottime"}) {
    ExpectCorrupt(ParseTimensOffsets, line);
  }
  ExpectCorrupt(ParseTimensOffsets, "monotonic 0 0\n", "lacks");
}

}  // namespace
}  // namespace baton
