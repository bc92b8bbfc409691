#include "proc/cgroup.h"

#include "proc/parser_test_util.h"

namespace baton {
namespace {

TEST(ProcCgroup, BothVersions) {
  const auto groups = ParseCgroup("9:name=systemd:/\n4:cpu,cpuacct:/job/a:b\n0::/user.slice/x (deleted)\n");
  ASSERT_TRUE(groups) << groups.error().ToString();
  ASSERT_EQ(groups->size(), 3U);
  EXPECT_EQ(groups->at(0).controllers, std::vector<std::string>{"name=systemd"});
  EXPECT_EQ(groups->at(1).hierarchy_id, 4);
  EXPECT_EQ(groups->at(1).controllers, (std::vector<std::string>{"cpu", "cpuacct"}));
  EXPECT_EQ(groups->at(1).path, "/job/a:b");
  EXPECT_FALSE(groups->at(1).deleted);
  EXPECT_EQ(groups->at(2).hierarchy_id, 0);
  EXPECT_TRUE(groups->at(2).controllers.empty());
  EXPECT_EQ(groups->at(2).path, "/user.slice/x");
  EXPECT_TRUE(groups->at(2).deleted);
}

TEST(ProcCgroup, MalformedLinesAreQuoted) {
  for (const std::string_view line : {"x", "0", "0:", "0:cpu", "0::", "0::x", "-1::/", ":cpu:/"}) {
    ExpectCorrupt(ParseCgroup, line);
  }
}

}  // namespace
}  // namespace baton
