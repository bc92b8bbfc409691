#include "engine/native/control_groups.h"

#include <gtest/gtest.h>

#include <initializer_list>
#include <vector>

namespace baton {
namespace {

pb::CgroupRecord Group(std::initializer_list<const char*> controllers, const char* path) {
  pb::CgroupRecord group;
  for (const char* controller : controllers) group.add_controllers(controller);
  group.set_path(path);
  return group;
}

MountInfo Mount(const char* type, const char* options, const char* root, const char* point) {
  MountInfo mount;
  mount.fs_type = type;
  mount.super_options = options;
  mount.root = root;
  mount.mount_point = point;
  return mount;
}

TEST(CgroupDirectory, ByControllers) {
  const std::vector<MountInfo> mounts{
      Mount("cgroup", "rw,cpuset", "/", "/c/cpuset"), Mount("cgroup", "rw,cpu,cpuacct", "/", "/c/cpu"),
      Mount("cgroup", "rw,name=systemd", "/", "/c/systemd"), Mount("cgroup2", "rw,nsdelegate", "/", "/c/unified")};
  EXPECT_EQ(CgroupDirectory(mounts, Group({"cpu", "cpuacct"}, "/job")), "/c/cpu/job");
  EXPECT_EQ(CgroupDirectory(mounts, Group({"cpuset"}, "/")), "/c/cpuset");
  EXPECT_EQ(CgroupDirectory(mounts, Group({"name=systemd"}, "/a/b")), "/c/systemd/a/b");
  EXPECT_EQ(CgroupDirectory(mounts, Group({}, "/user.slice")), "/c/unified/user.slice");
  EXPECT_EQ(CgroupDirectory(mounts, Group({"memory"}, "/job")), std::nullopt);
}

TEST(CgroupDirectory, WherePartOfTheHierarchyIsMounted) {
  const std::vector<MountInfo> mounts{Mount("cgroup2", "rw", "/box", "/c")};
  EXPECT_EQ(CgroupDirectory(mounts, Group({}, "/box/job")), "/c/job");
  EXPECT_EQ(CgroupDirectory(mounts, Group({}, "/box")), "/c");
  EXPECT_EQ(CgroupDirectory(mounts, Group({}, "/boxer")), std::nullopt);
  EXPECT_EQ(CgroupDirectory(mounts, Group({}, "/")), std::nullopt);
}

}  // namespace
}  // namespace baton
