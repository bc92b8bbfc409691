#include "cli/format.h"

#include <gtest/gtest.h>

namespace baton {
namespace {

using std::chrono::milliseconds;

TEST(Format, TablesAlign) {
  EXPECT_EQ(FormatTable({"NAME", "STATE"}, {{"a", "running"}, {"longer", "x"}}),
            "NAME    STATE\na       running\nlonger  x\n");
}

TEST(Format, DurationsForPeople) {
  EXPECT_EQ(FormatDuration(std::chrono::microseconds(250)), "250 us");
  EXPECT_EQ(FormatDuration(milliseconds(12)), "12.0 ms");
  EXPECT_EQ(FormatDuration(milliseconds(4500)), "4.5 s");
  EXPECT_EQ(FormatDuration(milliseconds(125'000)), "2 min 05 s");
  EXPECT_EQ(FormatDuration(std::chrono::hours(2)), "2 h 00 min");
}

TEST(Format, DurationsAreRead) {
  EXPECT_EQ(ParseDuration("30").value(), milliseconds(30'000));
  EXPECT_EQ(ParseDuration("30s").value(), milliseconds(30'000));
  EXPECT_EQ(ParseDuration("1.5m").value(), milliseconds(90'000));
  EXPECT_EQ(ParseDuration("250ms").value(), milliseconds(250));
  EXPECT_EQ(ParseDuration("2h").value(), milliseconds(7'200'000));
  for (const char* bad : {"", "s", "-1s", "10x", "1e30h", "nan", "inf"}) EXPECT_FALSE(ParseDuration(bad)) << bad;
}

TEST(Format, SizesAreRead) {
  EXPECT_EQ(ParseBytes("4096").value(), 4096U);
  EXPECT_EQ(ParseBytes("10G").value(), uint64_t{10} << 30);
  EXPECT_EQ(ParseBytes("1.5MiB").value(), uint64_t{3} << 19);
  EXPECT_EQ(ParseBytes("2KB").value(), 2048U);
  for (const char* bad : {"", "G", "-1", "1X", "9999999999T"}) EXPECT_FALSE(ParseBytes(bad)) << bad;
}

}  // namespace
}  // namespace baton
