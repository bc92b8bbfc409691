// For the tests of this folder only: what every parser promises about a bad text.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "base/error.h"

namespace baton {

// `parse(text)` is kCorrupt and its message quotes `quoted` (by default the whole text).
template <typename Parse>
void ExpectCorrupt(Parse parse, std::string_view text, std::string_view quoted) {
  const auto parsed = parse(text);
  ASSERT_FALSE(parsed) << "accepted: " << text;
  EXPECT_EQ(parsed.error().code(), ErrorCode::kCorrupt) << text;
  EXPECT_THAT(parsed.error().ToString(), testing::HasSubstr(std::string(quoted)));
}

template <typename Parse>
void ExpectCorrupt(Parse parse, std::string_view text) {
  ExpectCorrupt(parse, text, text);
}

}  // namespace baton
