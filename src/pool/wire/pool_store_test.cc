#include "pool/wire/pool_store.h"

#include <gtest/gtest.h>

namespace baton {
namespace {

TEST(PoolStore, UnitNamesAreReadBackOnlyAsTheyAreWritten) {
  const pool::UnitKey unit{.job = 12, .epoch = 3};
  EXPECT_EQ(UnitName(unit), "12.3");
  EXPECT_EQ(ParseUnitName("12.3"), unit);
  for (const char* bad : {"", "12", "12.", ".3", "12.3x", "12.03", "x.1", "12.3.4", "99999999999999999999.1", "-1.2"}) {
    EXPECT_FALSE(ParseUnitName(bad)) << bad;
  }
}

TEST(PoolStore, NoInputLeadsOutOfTheStore) {
  EXPECT_TRUE(IsInputName("0a9Z"));
  for (const char* bad : {"", ".", "..", "a/b", "a.b", "a b"}) EXPECT_FALSE(IsInputName(bad)) << bad;
  EXPECT_FALSE(IsInputName(std::string(65, 'a')));
}

}  // namespace
}  // namespace baton
