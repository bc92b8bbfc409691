#include "keeper/environment_change.h"

#include <gtest/gtest.h>

namespace baton {
namespace {

using std::string_view_literals::operator""sv;

TEST(PlanEnvironment, InTheirPlaceAndFilledUp) {
  const auto writes = PlanEnvironment("A=12345\0AB=1\0B=\0A=12\0"sv, {"A=7", "B="});
  ASSERT_TRUE(writes);
  ASSERT_EQ(writes->size(), 3U);
  EXPECT_EQ((*writes)[0].offset, 0U);
  EXPECT_EQ((*writes)[0].bytes, "A=7\0\0\0\0"sv);
  EXPECT_EQ((*writes)[1].offset, 13U);
  EXPECT_EQ((*writes)[1].change, 1U);
  EXPECT_EQ((*writes)[2].offset, 16U);
  EXPECT_EQ((*writes)[2].bytes, "A=7\0"sv);
}

TEST(PlanEnvironment, WhatDoesNotFitIsRefused) {
  const auto writes = PlanEnvironment("A=12\0"sv, {"A=123"});
  ASSERT_FALSE(writes);
  EXPECT_EQ(writes.error().code(), ErrorCode::kNotSupported);
  EXPECT_NE(writes.error().ToString().find("has 3 bytes, and must not have more than the old one's 2"),
            std::string::npos)
      << writes.error().ToString();
}

TEST(PlanEnvironment, BlocksOfAnyKind) {
  EXPECT_TRUE(PlanEnvironment("", {"A=1"})->empty());
  EXPECT_TRUE(PlanEnvironment("\0\0\0"sv, {"A=1"})->empty());
  EXPECT_EQ(PlanEnvironment("x\0A=2"sv, {"A=1"})->size(), 1U) << "one that is cut";
}

TEST(CheckEnvironmentChange, NameAndValue) {
  EXPECT_TRUE(CheckEnvironmentChange("A="));
  EXPECT_TRUE(CheckEnvironmentChange("A=b=c"));
  EXPECT_FALSE(CheckEnvironmentChange("A"));
  EXPECT_FALSE(CheckEnvironmentChange("=b"));
  EXPECT_FALSE(CheckEnvironmentChange(""));
}

}  // namespace
}  // namespace baton
