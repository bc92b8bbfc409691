#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>

#include "base/file.h"
#include "base/test_dir.h"
#include "store/directory_store.h"
#include "store/job_lock.h"

namespace baton {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class StoreTest : public ::testing::Test {
 protected:
  void Add(uint64_t number) {
    auto pending = store().Begin("job", number);
    ASSERT_TRUE(pending) << pending.error().ToString();
    ASSERT_TRUE(WriteFile(pending->path() + "/content", "x"));
    const auto committed = pending->Commit();
    ASSERT_TRUE(committed) << committed.error().ToString();
  }
  DirectoryStore store() const { return DirectoryStore(root_.path()); }

  TestDir root_;
};

TEST_F(StoreTest, ADirectoryIsAbsentThenWrittenThenComplete) {
  const std::string name = root_ / "a/image";
  EXPECT_EQ(StateOfDirectory(name).value(), DirectoryState::kAbsent);
  auto pending = PendingDirectory::Create(name);
  ASSERT_TRUE(pending) << pending.error().ToString();
  EXPECT_EQ(StateOfDirectory(name).value(), DirectoryState::kBeingWritten);
  ASSERT_TRUE(WriteFile(pending->path() + "/content", "x"));
  ASSERT_TRUE(pending->Commit());
  EXPECT_EQ(StateOfDirectory(name).value(), DirectoryState::kComplete);
  EXPECT_EQ(ReadFile(name + "/content").value(), "x");
  EXPECT_FALSE(fs::exists(name + "/lock"));
}

TEST_F(StoreTest, WhatIsNotCommittedIsRemoved) {
  const std::string name = root_ / "image";
  {
    auto pending = PendingDirectory::Create(name);
    ASSERT_TRUE(pending);
    ASSERT_TRUE(WriteFile(pending->path() + "/content", "x"));
  }
  EXPECT_TRUE(fs::is_empty(root_.path()));
}

TEST_F(StoreTest, OneWriterAtATime) {
  const std::string name = root_ / "image";
  const auto first = PendingDirectory::Create(name);
  ASSERT_TRUE(first);
  const auto second = PendingDirectory::Create(name);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code(), ErrorCode::kConflict);
}

TEST_F(StoreTest, ADeadWritersDirectoryIsAbandonedAndTakenOver) {
  const std::string name = root_ / "image";
  const pid_t writer = fork();
  if (writer == 0) {
    const auto pending = PendingDirectory::Create(name);
    if (pending) (void)!WriteFile(pending->path() + "/old", "x");
    _exit(pending ? 0 : 1);  // without the destructor
  }
  int status = 0;
  ASSERT_EQ(waitpid(writer, &status, 0), writer);
  ASSERT_EQ(status, 0);
  EXPECT_EQ(StateOfDirectory(name).value(), DirectoryState::kAbandoned);
  auto pending = PendingDirectory::Create(name);
  ASSERT_TRUE(pending) << pending.error().ToString();
  EXPECT_FALSE(fs::exists(pending->path() + "/old"));
  ASSERT_TRUE(pending->Commit());
}

TEST_F(StoreTest, ACompleteOneIsNeverReplaced) {
  const std::string name = root_ / "image";
  ASSERT_TRUE(MakeDirectories(name));
  auto pending = PendingDirectory::Create(name + "/");  // empty: as good as none
  ASSERT_TRUE(pending) << pending.error().ToString();
  ASSERT_TRUE(WriteFile(name + "/theirs", "x"));
  const auto committed = pending->Commit();
  ASSERT_FALSE(committed);
  EXPECT_THAT(committed.error().ToString(), HasSubstr("came into being meanwhile"));
  EXPECT_EQ(PendingDirectory::Create(name).error().code(), ErrorCode::kConflict);
}

TEST_F(StoreTest, KeepsTheNewestAndTidiesUp) {
  EXPECT_THAT(store().List("job").value(), ElementsAre());
  for (uint64_t number = 1; number <= 5; ++number) Add(number);
  ASSERT_TRUE(MakeDirectories(root_ / "job/checkpoint-000001.removing/x"));
  ASSERT_TRUE(MakeDirectories(root_ / "job/checkpoint-000009.partial"));
  ASSERT_TRUE(MakeDirectories(root_ / "job/objects"));
  EXPECT_THAT(store().KeepNewest("job", 3).value(), ElementsAre(3, 4, 5));
  EXPECT_THAT(store().List("job").value(), ElementsAre(3, 4, 5));
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(root_ / "job")) names.push_back(entry.path().filename());
  EXPECT_THAT(
      names, ::testing::UnorderedElementsAre("checkpoint-000003", "checkpoint-000004", "checkpoint-000005", "objects"));
}

TEST_F(StoreTest, OddNamesAreNotCheckpoints) {
  ASSERT_TRUE(MakeDirectories(root_ / "job/checkpoint-12x"));
  ASSERT_TRUE(MakeDirectories(root_ / "job/checkpoint-"));
  EXPECT_THAT(store().List("job").value(), ElementsAre());
}

TEST_F(StoreTest, NoPlaceAtTheRoot) {
  EXPECT_EQ(PendingDirectory::Create("/").error().code(), ErrorCode::kInvalidArgument);
}

TEST_F(StoreTest, AJobHasOneKeeperAtATime) {
  {
    auto held = JobLock::Take(root_ / "new", "job");
    ASSERT_TRUE(held) << held.error().ToString();
    const auto refused = JobLock::Take(root_ / "new", "job");
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code(), ErrorCode::kConflict);
    EXPECT_THAT(refused.error().ToString(), HasSubstr(fmt::format("process {}", getpid())));
    EXPECT_TRUE(JobLock::Take(root_ / "new", "another"));
    EXPECT_TRUE(store().List("job").value().empty()) << "the lock looks like a checkpoint";
  }
  EXPECT_TRUE(JobLock::Take(root_ / "new", "job"));
}

}  // namespace
}  // namespace baton
