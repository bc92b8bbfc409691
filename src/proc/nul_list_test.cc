#include "proc/nul_list.h"

#include <gtest/gtest.h>

namespace baton {
namespace {

using Strings = std::vector<std::string>;

TEST(NulList, StringsInOrder) {
  EXPECT_EQ(SplitNulList(std::string_view("sh\0-c\0\0x y\0", 11)), (Strings{"sh", "-c", "", "x y"}));
  EXPECT_EQ(SplitNulList(""), Strings{});
  EXPECT_EQ(SplitNulList(std::string_view("\0", 1)), Strings{""});
}

TEST(NulList, LastOneWithoutItsNul) {
  EXPECT_EQ(SplitNulList("nginx: worker process"), Strings{"nginx: worker process"});
  EXPECT_EQ(SplitNulList(std::string_view("a\0b", 3)), (Strings{"a", "b"}));
}

}  // namespace
}  // namespace baton
