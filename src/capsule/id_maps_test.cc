#include "capsule/id_maps.h"

#include <gtest/gtest.h>
#include <unistd.h>

namespace baton {
namespace {

TEST(IdMaps, NothingIsLentWithoutTheFiles) {
  const SubordinateIds ids = FindSubordinateIds("/nonexistent");
  EXPECT_TRUE(ids.users.empty());
  EXPECT_TRUE(ids.groups.empty());
}

TEST(IdMaps, NothingIsMappedForAProcessInNoNewNamespace) {
  auto mapper = OutsideMapper::Start({.users = {{getuid() + 1, 1}}, .groups = {{getgid() + 1, 1}}});
  ASSERT_TRUE(mapper);
  const OutsideMapper::Done done = mapper->Map();
  EXPECT_FALSE(done.users);
  EXPECT_FALSE(done.groups);
}

TEST(IdMaps, AMapperThatIsNotNeededEnds) {
  const auto mapper = OutsideMapper::Start({});
  EXPECT_TRUE(mapper);  // and the destructor returns
}

}  // namespace
}  // namespace baton
