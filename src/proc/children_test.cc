#include "proc/children.h"

#include "proc/parser_test_util.h"

namespace baton {
namespace {

TEST(ProcChildren, Numbers) {
  EXPECT_EQ(*ParseChildren("6429 6430 7 "), (std::vector<pid_t>{6429, 6430, 7}));
  EXPECT_EQ(*ParseChildren("5"), std::vector<pid_t>{5});
  EXPECT_TRUE(ParseChildren("")->empty());
}

TEST(ProcChildren, MalformedIsQuoted) {
  for (const std::string_view text : {"x", "1 2x", "99999999999 ", "5 0 ", "-1"}) ExpectCorrupt(ParseChildren, text);
}

}  // namespace
}  // namespace baton
