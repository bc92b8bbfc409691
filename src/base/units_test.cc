#include "base/units.h"

#include <gtest/gtest.h>

namespace baton {
namespace {

TEST(Units, SizesForPeople) {
  EXPECT_EQ(FormatBytes(640), "640 B");
  EXPECT_EQ(FormatBytes(1536), "1.5 KiB");
  EXPECT_EQ(FormatBytes(uint64_t{3} << 30), "3.0 GiB");
}

}  // namespace
}  // namespace baton
