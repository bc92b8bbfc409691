#include "proc/limits.h"

#include "proc/parser_test_util.h"

namespace baton {
namespace {

constexpr std::string_view kHeading =
    "Limit                     Soft Limit           Hard Limit           Units     \n";
constexpr std::string_view kRows =
    "Max cpu time              unlimited            unlimited            seconds   \n"
    "Max stack size            8388608              unlimited            bytes     \n"
    "Max nice priority         0                    0                    \n"
    "Max realtime timeout      18446744073709551614 18446744073709551614 us        \n";

TEST(ProcLimits, Rows) {
  const auto limits = ParseLimits(std::string(kHeading) + std::string(kRows));
  ASSERT_TRUE(limits) << limits.error().ToString();
  ASSERT_EQ(limits->size(), 4U);
  EXPECT_EQ(limits->at(0).name, "Max cpu time");
  EXPECT_EQ(limits->at(0).soft, ProcLimit::kUnlimited);
  EXPECT_EQ(limits->at(0).units, "seconds");
  EXPECT_EQ(limits->at(1).soft, 8388608U);
  EXPECT_EQ(limits->at(1).hard, ProcLimit::kUnlimited);
  EXPECT_EQ(limits->at(2).name, "Max nice priority");
  EXPECT_EQ(limits->at(2).units, "");
  EXPECT_EQ(limits->at(3).hard, 18446744073709551614U);
}

TEST(ProcLimits, OfAProcessThatHasJustEnded) { EXPECT_TRUE(ParseLimits("")->empty()); }

TEST(ProcLimits, MalformedLinesAreQuoted) {
  ExpectCorrupt(ParseLimits, kRows, "Max cpu time");
  for (const std::string_view line :
       {"Max cpu time", "Max cpu time              x                    unlimited            seconds   ",
        "Max cpu time              0                    -1                   seconds   ",
        "                          0                    0                    seconds   ",
        "Max cpu time              0                                         seconds   "}) {
    ExpectCorrupt(ParseLimits, std::string(kHeading) + std::string(line) + "\n", line);
  }
}

}  // namespace
}  // namespace baton
