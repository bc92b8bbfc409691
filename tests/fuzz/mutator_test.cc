#include "mutator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

namespace baton {
namespace {

const std::vector<std::string> kSeeds = {"one 1\ntwo 22\nthree 333\n", "", std::string("a\0b", 3)};

TEST(Mutator, SameNumberGivesTheSameInputs) {
  Mutator first(7, kSeeds, {"word"});
  Mutator second(7, kSeeds, {"word"});
  Mutator other(8, kSeeds, {"word"});
  int different = 0;
  for (int i = 0; i < 100; ++i) {
    const std::string input = first.Next();
    EXPECT_EQ(input, second.Next());
    if (input != other.Next()) ++different;
  }
  EXPECT_GT(different, 50);
}

TEST(Mutator, InputsAreManyAndOfEveryKind) {
  Mutator mutator(1, kSeeds, {"word"});
  std::set<std::string> inputs;
  for (int i = 0; i < 2000; ++i) inputs.insert(mutator.Next());
  EXPECT_GT(inputs.size(), 1000U);
  EXPECT_THAT(inputs, testing::Contains(testing::HasSubstr("word")));
  EXPECT_THAT(inputs, testing::Contains(testing::HasSubstr("18446744073709551616")));
  EXPECT_THAT(inputs, testing::Contains(testing::HasSubstr("two 22\ntwo 22\n")));
  EXPECT_THAT(inputs, testing::Contains("one 1\nthree 333\n"));
  const auto is_head = [](const std::string& input) {
    return !input.empty() && input.size() < kSeeds[0].size() && kSeeds[0].starts_with(input);
  };
  EXPECT_THAT(inputs, testing::Contains(testing::Truly(is_head)));
}

TEST(Mutator, InputsStaySmall) {
  Mutator mutator(1, {std::string(size_t{70} << 10, 'x')}, {});
  for (int i = 0; i < 20; ++i) EXPECT_LE(mutator.Next().size(), size_t{64} << 10);
}

}  // namespace
}  // namespace baton
