#include "proc/swaps.h"

#include "proc/parser_test_util.h"

namespace baton {
namespace {

constexpr std::string_view kHeading = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n";

TEST(ProcSwaps, NoneAndSome) {
  EXPECT_FALSE(*ParseSwapsAny(kHeading));
  EXPECT_TRUE(*ParseSwapsAny(std::string(kHeading) +
                             "/dev/sda2                               partition\t2097148\t\t0\t\t-2\n"));
}

TEST(ProcSwaps, MalformedLinesAreQuoted) {
  ExpectCorrupt(ParseSwapsAny, "", "no heading");
  ExpectCorrupt(ParseSwapsAny, "/dev/sda2 partition 1 0 -2\n", "/dev/sda2");
  for (const std::string_view line : {"/dev/sda2", "/dev/sda2 partition x 0 -2", "/dev/sda2 partition 1 0 -2 7", ""}) {
    ExpectCorrupt(ParseSwapsAny, std::string(kHeading) + std::string(line) + "\n", line);
  }
}

}  // namespace
}  // namespace baton
