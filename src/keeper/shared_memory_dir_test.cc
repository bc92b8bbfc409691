#include "keeper/shared_memory_dir.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <optional>

#include "base/file.h"
#include "base/test_dir.h"

namespace baton {
namespace {

namespace fs = std::filesystem;

size_t EntriesOf(const std::string& path) {
  return static_cast<size_t>(std::distance(fs::directory_iterator(path), fs::directory_iterator()));
}

TEST(SharedMemoryDir, IsOpenToAllBelowOneThatIsNot) {
  const TestDir top;
  const auto made = SharedMemoryDir::Create(top / "own");
  ASSERT_TRUE(made) << made.error().ToString();
  struct stat status{};
  ASSERT_EQ(stat(made->path().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 01777U);
  ASSERT_EQ(stat((top / "own").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0700U);
}

TEST(SharedMemoryDir, IsRemovedAtTheEnd) {
  const TestDir top;
  {
    auto made = SharedMemoryDir::Create(top.path() + "/own");
    ASSERT_TRUE(made);
    ASSERT_TRUE(WriteFile(made->path() + "/segment", "x"));
    const SharedMemoryDir moved = std::move(*made);
    EXPECT_EQ(EntriesOf(top / "own"), 1U);
  }
  EXPECT_EQ(EntriesOf(top / "own"), 0U);
}

TEST(SharedMemoryDir, OrphansAreRemovedAndOthersAreNot) {
  const TestDir top;
  const auto other = SharedMemoryDir::Create(top / "own");
  ASSERT_TRUE(other);
  const pid_t killed = fork();
  if (killed == 0) {
    const auto orphan = SharedMemoryDir::Create(top / "own");
    if (!orphan || !WriteFile(orphan->path() + "/segment", "x")) _exit(1);
    raise(SIGKILL);
  }
  int status = 0;
  waitpid(killed, &status, 0);
  ASSERT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(EntriesOf(top / "own"), 2U);
  const auto next = SharedMemoryDir::Create(top / "own");
  ASSERT_TRUE(next);
  EXPECT_EQ(EntriesOf(top / "own"), 2U) << "the other's and the new one";
  EXPECT_TRUE(fs::exists(other->path()));
}

TEST(SharedMemoryDir, WhatSomebodyElseHasPutThereIsNotUsed) {
  const TestDir top;
  fs::create_directory(top / "real");
  fs::create_symlink(top / "real", top / "link");
  EXPECT_EQ(SharedMemoryDir::Create(top / "link").error().code(), ErrorCode::kConflict);
  fs::create_directory(top / "open");
  fs::permissions(top / "open", fs::perms::all);
  EXPECT_EQ(SharedMemoryDir::Create(top / "open").error().code(), ErrorCode::kConflict);
}

}  // namespace
}  // namespace baton
