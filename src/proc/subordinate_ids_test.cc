#include "proc/subordinate_ids.h"

#include <gtest/gtest.h>

namespace baton {
namespace {

TEST(SubordinateIds, ThoseOfTheUserByNameAndByNumber) {
  const auto ranges = ParseSubordinateIds(
      "# comment\nann:100000:65536\nbob:200000:10\n1000:300000:5\nannette:1:1\n\nann:400000:1", "ann", 1000);
  ASSERT_TRUE(ranges);
  ASSERT_EQ(ranges->size(), 3U);
  EXPECT_EQ((*ranges)[0].first, 100000U);
  EXPECT_EQ((*ranges)[0].count, 65536U);
  EXPECT_EQ((*ranges)[1].first, 300000U);
  EXPECT_EQ((*ranges)[2].first, 400000U);
  EXPECT_TRUE((*ranges)[0].Contains(165535));
  EXPECT_FALSE((*ranges)[0].Contains(165536));
  EXPECT_FALSE((*ranges)[0].Contains(99999));
}

TEST(SubordinateIds, WhatCannotBeIsCorrupt) {
  for (const char* line : {"ann", "ann:", "ann:1", "ann:1:", "ann:x:1", "ann:1:1:1", "ann:0:5", "ann:5:0",
                           "ann:4294967295:2", "ann:-1:5", "ann:99999999999:5"}) {
    const auto ranges = ParseSubordinateIds(line, "ann", 1000);
    ASSERT_FALSE(ranges) << line;
    EXPECT_EQ(ranges.error().code(), ErrorCode::kCorrupt);
  }
  EXPECT_TRUE(ParseSubordinateIds("bob:x:y\n:::\n", "ann", 1000));  // of somebody else
}

}  // namespace
}  // namespace baton
