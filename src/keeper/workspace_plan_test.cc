#include "keeper/workspace_plan.h"

#include <gtest/gtest.h>

namespace baton {
namespace {

class WorkspacePlanTest : public ::testing::Test {
 protected:
  WorkspacePlanTest() {
    record_.mutable_spec()->set_name("fit");
    record_.mutable_spec()->set_files(pb::JobSpec::WORK);
    record_.mutable_spec()->set_cwd("/data/fit");
    record_.mutable_spec()->set_workdir("/data/fit");
    record_.set_store_dir("/state/store");
  }

  StatePaths paths_ = StatePaths::Find("/state").value();
  pb::RunRecord record_;
};

TEST_F(WorkspacePlanTest, RootsAreTheDirectoriesAndAPrivateTmp) {
  record_.mutable_spec()->add_keep("/data/in");
  const auto roots = WorkspaceRoots(paths_, record_);
  ASSERT_EQ(roots.size(), 3U);
  EXPECT_EQ(roots[0].name, "work");
  EXPECT_EQ(roots[0].host_path, "/data/fit");
  EXPECT_EQ(roots[1].name, "keep-1");
  EXPECT_EQ(roots[1].job_path, "/data/in");
  EXPECT_EQ(roots[2].name, "tmp");
  EXPECT_EQ(roots[2].host_path, "/state/runs/fit/tmp");
}

TEST_F(WorkspacePlanTest, HostFilesHaveNone) {
  record_.mutable_spec()->set_files(pb::JobSpec::HOST);
  EXPECT_TRUE(WorkspaceRoots(paths_, record_).empty());
  CapsuleOptions options;
  ShowWorkspace(paths_, record_, &options);
  EXPECT_FALSE(options.private_tmp);
  EXPECT_TRUE(options.binds.empty());
}

TEST_F(WorkspacePlanTest, PlacedDirectoriesAreShownWhereTheyWere) {
  auto* placed = record_.add_placed();
  placed->set_job_path("/data/fit");
  placed->set_host_path("/elsewhere");
  EXPECT_EQ(WorkspaceRoots(paths_, record_)[0].host_path, "/elsewhere");
  CapsuleOptions options;
  ShowWorkspace(paths_, record_, &options);
  ASSERT_EQ(options.binds.size(), 1U);
  EXPECT_EQ(options.binds[0].from, "/elsewhere");
  EXPECT_EQ(options.binds[0].to, "/data/fit");
}

TEST_F(WorkspacePlanTest, DirectoriesBelowTmpStayInSight) {
  record_.mutable_spec()->set_workdir("/tmp/job");
  record_.mutable_spec()->set_cwd("/tmp/job/in/it");
  CapsuleOptions options;
  ShowWorkspace(paths_, record_, &options);
  EXPECT_EQ(options.private_tmp, "/state/runs/fit/tmp");
  ASSERT_EQ(options.binds.size(), 1U);
  EXPECT_EQ(options.binds[0].to, "/tmp/job");
}

TEST_F(WorkspacePlanTest, AWorkspaceThatIsTmpHasNoPrivateOne) {
  record_.mutable_spec()->set_workdir("/tmp");
  EXPECT_EQ(WorkspaceRoots(paths_, record_).size(), 1U);
  CapsuleOptions options;
  ShowWorkspace(paths_, record_, &options);
  EXPECT_FALSE(options.private_tmp);
}

TEST_F(WorkspacePlanTest, ThePrivateSharedMemoryIsARootAndShown) {
  EXPECT_TRUE(HasPrivateSharedMemory(record_.spec()));
  record_.set_shared_memory_dir("/dev/shm/baton-7/run-x");
  const auto roots = WorkspaceRoots(paths_, record_);
  ASSERT_EQ(roots.size(), 3U);
  EXPECT_EQ(roots[2].name, "shm");
  EXPECT_EQ(roots[2].job_path, "/dev/shm");
  EXPECT_EQ(roots[2].host_path, "/dev/shm/baton-7/run-x");
  CapsuleOptions options;
  ShowWorkspace(paths_, record_, &options);
  ASSERT_EQ(options.binds.size(), 1U);
  EXPECT_EQ(options.binds[0].to, "/dev/shm");
  EXPECT_TRUE(OutsideWorkspace(record_.spec(), {"/dev/shm/segment"}).empty());
}

TEST_F(WorkspacePlanTest, AWorkspaceInSharedMemoryHasNoPrivateOne) {
  record_.mutable_spec()->set_workdir("/dev/shm");
  EXPECT_FALSE(HasPrivateSharedMemory(record_.spec()));
  record_.mutable_spec()->set_workdir("/dev/shm/below");
  EXPECT_TRUE(HasPrivateSharedMemory(record_.spec()));
  record_.mutable_spec()->set_files(pb::JobSpec::HOST);
  EXPECT_FALSE(HasPrivateSharedMemory(record_.spec()));
}

TEST_F(WorkspacePlanTest, BatonsOwnFilesInsideAreSkipped) {
  record_.mutable_spec()->set_workdir("/");
  record_.set_output_path("/data/log");
  const auto own = OwnPaths(paths_, record_);
  EXPECT_NE(std::ranges::find(own, "/state"), own.end());
  EXPECT_NE(std::ranges::find(own, "/data/log"), own.end());
  record_.mutable_spec()->set_workdir("/data/fit");
  EXPECT_TRUE(OwnPaths(paths_, record_).empty());
}

}  // namespace
}  // namespace baton
