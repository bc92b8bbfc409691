#include "base/result.h"

#include <gtest/gtest.h>

#include <cerrno>

namespace baton {
namespace {

Result<int> Half(int n) {
  if (n % 2 != 0) return MakeError(ErrorCode::kInvalidArgument, "{} is odd", n);
  return n / 2;
}

Result<int> Quarter(int n) {
  BATON_TRY(const int half, Half(n));
  auto quarter = Half(half);
  if (!quarter) return quarter.Fail("half of {}", n);
  return quarter;
}

TEST(Result, CarriesValueOrErrorWithContext) {
  EXPECT_EQ(Quarter(8).value(), 2);
  EXPECT_EQ(Quarter(7).error().ToString(), "7 is odd");
  EXPECT_EQ(Quarter(6).error().ToString(), "half of 6: 3 is odd");
}

TEST(Result, ErrnoGivesCodeAndText) {
  const Error error = ErrnoError(ENOENT, "open {}", "x");
  EXPECT_EQ(error.code(), ErrorCode::kNotFound);
  EXPECT_EQ(error.ToString(), "open x: No such file or directory");
}

}  // namespace
}  // namespace baton
