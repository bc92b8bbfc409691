#include "resource/file/origin.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "base/file.h"
#include "base/test_dir.h"
#include "resource/common/kind_test_util.h"

namespace baton {
namespace {

class OriginTest : public testing::Test {
 protected:
  std::string Path(const std::string& name) const { return directory_ / name; }
  UniqueFd Make(const std::string& name) const { return OpenFile(Path(name), O_CREAT | O_RDWR).value(); }
  Result<FileOrigin> Find(int fd) { return FindOrigin(FactsOfOwn(fd), capture_); }
  void ExpectRefused(int fd, const std::string& part) {
    const auto origin = Find(fd);
    ASSERT_FALSE(origin);
    EXPECT_EQ(origin.error().code(), ErrorCode::kNotSupported);
    EXPECT_THAT(origin.error().ToString(), testing::HasSubstr(part));
  }

  TestDir directory_;
  FakeCapture capture_;
};

TEST_F(OriginTest, FollowsARenamedFile) {
  const UniqueFd fd = Make("a");
  std::filesystem::rename(Path("a"), Path("b"));
  const auto origin = Find(fd.get());
  ASSERT_TRUE(origin) << origin.error().ToString();
  EXPECT_EQ(origin->origin, pb::FilePayload::PATH);
  EXPECT_EQ(origin->path, Path("b"));
}

TEST_F(OriginTest, TakesAFileThatIsCalledDeletedForWhatItIs) {
  const UniqueFd fd = Make("a (deleted)");
  const auto origin = Find(fd.get());
  ASSERT_TRUE(origin) << origin.error().ToString();
  EXPECT_EQ(origin->origin, pb::FilePayload::PATH);
  EXPECT_EQ(origin->path, Path("a (deleted)"));
}

TEST_F(OriginTest, KnowsDeletedAndReplacedFiles) {
  const UniqueFd fd = Make("a");
  Make("new");
  std::filesystem::rename(Path("new"), Path("a"));
  const auto origin = Find(fd.get());
  ASSERT_TRUE(origin) << origin.error().ToString();
  EXPECT_EQ(origin->origin, pb::FilePayload::NAMELESS);
  EXPECT_EQ(origin->path, Path("a"));
}

TEST_F(OriginTest, FindsAnotherNameInTheSameDirectory) {
  const UniqueFd fd = Make("temporary");
  std::filesystem::create_hard_link(Path("temporary"), Path("final"));
  std::filesystem::remove(Path("temporary"));
  const auto origin = Find(fd.get());
  ASSERT_TRUE(origin) << origin.error().ToString();
  EXPECT_EQ(origin->origin, pb::FilePayload::PATH);
  EXPECT_EQ(origin->path, Path("final"));
}

TEST_F(OriginTest, RefusesWhenTheOtherNameIsElsewhere) {
  const UniqueFd fd = Make("a");
  std::filesystem::create_directory(Path("d"));
  std::filesystem::create_hard_link(Path("a"), Path("d/a"));
  std::filesystem::remove(Path("a"));
  ExpectRefused(fd.get(), "has lost the name");
}

TEST_F(OriginTest, RefusesAPathThatLeadsToAnotherFile) {
  const UniqueFd fd = Make("a");
  const UniqueFd other = Make("b");
  FdFacts facts = FactsOfOwn(fd.get());
  facts.link = Path("b");
  const auto origin = FindOrigin(facts, capture_);
  ASSERT_FALSE(origin);
  EXPECT_THAT(origin.error().ToString(), testing::HasSubstr("another file is there"));
}

TEST_F(OriginTest, KnowsARemovedDirectory) {
  std::filesystem::create_directory(Path("d"));
  const auto fd = OpenFile(Path("d"), O_RDONLY | O_DIRECTORY);
  ASSERT_TRUE(fd);
  std::filesystem::remove(Path("d"));
  const auto origin = Find(fd->get());
  ASSERT_TRUE(origin) << origin.error().ToString();
  EXPECT_EQ(origin->origin, pb::FilePayload::NAMELESS);
  EXPECT_EQ(origin->path, Path("d"));
}

TEST_F(OriginTest, KnowsMemfds) {
  const UniqueFd fd(memfd_create("a b", MFD_CLOEXEC));
  const auto origin = Find(fd.get());
  ASSERT_TRUE(origin) << origin.error().ToString();
  EXPECT_EQ(origin->origin, pb::FilePayload::MEMFD);
  EXPECT_EQ(origin->path, "a b");
}

TEST_F(OriginTest, RefusesHugePagesAndSecrets) {
  const UniqueFd fd(memfd_create("a", MFD_CLOEXEC));
  FdFacts facts = FactsOfOwn(fd.get());
  facts.fs_magic = HUGETLBFS_MAGIC;
  EXPECT_THAT(FindOrigin(facts, capture_).error().ToString(), testing::HasSubstr("huge pages"));
  facts.fs_magic = SECRETMEM_MAGIC;
  EXPECT_THAT(FindOrigin(facts, capture_).error().ToString(), testing::HasSubstr("secret memory"));
}

TEST_F(OriginTest, ReopensFilesOfTheKernelOfTheJobOnly) {
  const auto own = OpenFile("/proc/self/maps", O_RDONLY);
  ASSERT_TRUE(own);
  const auto origin = Find(own->get());
  ASSERT_TRUE(origin) << origin.error().ToString();
  EXPECT_TRUE(origin->of_kernel);
  EXPECT_EQ(origin->path, fmt::format("/proc/{}/maps", getpid()));
  capture_.processes.clear();
  ExpectRefused(own->get(), "does not belong to the job");
  const auto general = OpenFile("/proc/meminfo", O_RDONLY);
  ASSERT_TRUE(general);
  EXPECT_TRUE(Find(general->get()));
}

TEST(ProcessOfProcPathTest, TakesWholeNumbersUnderProcOnly) {
  EXPECT_EQ(ProcessOfProcPath("/proc/12/maps"), 12);
  EXPECT_EQ(ProcessOfProcPath("/proc/12"), 12);
  EXPECT_EQ(ProcessOfProcPath("/proc/meminfo"), 0);
  EXPECT_EQ(ProcessOfProcPath("/proc/12a/maps"), 0);
  EXPECT_EQ(ProcessOfProcPath("/proc/-3/maps"), 0);
  EXPECT_EQ(ProcessOfProcPath("/tmp/proc/12"), 0);
}

}  // namespace
}  // namespace baton
