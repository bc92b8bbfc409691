#include "proc/mountinfo.h"

#include "proc/parser_test_util.h"

namespace baton {
namespace {

constexpr std::string_view kMounts =
    "27 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard,resuid=65534\n"
    "36 27 98:0 /mnt1 /mnt\\040two rw,noatime shared:1 master:2 propagate_from:3 - ext3 /dev/ro\\134ot "
    "rw,errors=continue\n"
    "40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd\n"
    "41 27 0:38 / /empty rw,relatime unbindable - tmpfs  rw\n"
    "42 27 0:39 /gone//deleted /x rw - overlay overlay rw,lowerdir=/a\\040b:/c,opt=with blank\n";

TEST(ProcMountInfo, Fields) {
  const auto mounts = ParseMountInfo(kMounts);
  ASSERT_TRUE(mounts) << mounts.error().ToString();
  ASSERT_EQ(mounts->size(), 5U);
  const MountInfo& mount = mounts->at(1);
  EXPECT_EQ(mount.mount_id, 36);
  EXPECT_EQ(mount.parent_id, 27);
  EXPECT_EQ(mount.dev_major, 98U);
  EXPECT_EQ(mount.dev_minor, 0U);
  EXPECT_EQ(mount.root, "/mnt1");
  EXPECT_EQ(mount.mount_point, "/mnt two");
  EXPECT_EQ(mount.options, "rw,noatime");
  EXPECT_EQ(mount.optional_fields, (std::vector<std::string>{"shared:1", "master:2", "propagate_from:3"}));
  EXPECT_EQ(mount.fs_type, "ext3");
  EXPECT_EQ(mount.source, "/dev/ro\\ot");
  EXPECT_EQ(mount.super_options, "rw,errors=continue");
}

TEST(ProcMountInfo, EmptySourceDeletedRootAndOddOptions) {
  const auto mounts = ParseMountInfo(kMounts);
  ASSERT_TRUE(mounts);
  EXPECT_TRUE(mounts->at(0).optional_fields.empty());
  EXPECT_EQ(mounts->at(3).source, "");
  EXPECT_EQ(mounts->at(3).super_options, "rw");
  EXPECT_EQ(mounts->at(3).optional_fields, std::vector<std::string>{"unbindable"});
  EXPECT_EQ(mounts->at(4).root, "/gone//deleted");
  EXPECT_EQ(mounts->at(4).super_options, "rw,lowerdir=/a\\040b:/c,opt=with blank");
}

TEST(ProcMountInfo, MalformedLinesAreQuoted) {
  for (const std::string_view line : {"x", "36", "36 35 98 / / rw - ext3 a rw", "36 35 98:x / / rw - ext3 a rw",
                                      "36 35 98:0 / / rw ext3 a rw", "36 35 98:0 / /", "36 35 98:0 / / rw - ext3",
                                      "36 35 98:0 / / rw - ext3 /dev/x", "36 x 98:0 / / rw - ext3 a rw"}) {
    ExpectCorrupt(ParseMountInfo, line);
  }
}

}  // namespace
}  // namespace baton
