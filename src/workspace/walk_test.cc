#include "workspace/walk.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include "workspace/directory.h"
#include "workspace/test_files.h"

namespace baton {
namespace {

using testing::ElementsAre;

std::vector<std::string> PathsOf(const WalkOptions& options) {
  const auto listing = WalkTree(options);
  if (!listing) return {listing.error().ToString()};
  std::vector<std::string> paths;
  for (const Node& node : listing->nodes) paths.push_back(fmt::format("{}:{}", node.root, node.path));
  return paths;
}

WalkOptions Options(const TestDir& dir) { return {.roots = {{"work", "/work", dir.path()}}}; }

TEST(WalkTest, ListsDirectoriesBeforeTheirContentInOrder) {
  const TestDir dir;
  Put(dir / "b/x", "");
  Put(dir / "b/a", "");
  Put(dir / "a", "");
  EXPECT_THAT(PathsOf(Options(dir)), ElementsAre("0:", "0:a", "0:b", "0:b/a", "0:b/x"));
}

TEST(WalkTest, NeverFollowsLinks) {
  const TestDir dir;
  std::filesystem::create_symlink("/", dir / "root");
  std::filesystem::create_symlink(".", dir / "self");
  EXPECT_THAT(PathsOf(Options(dir)), ElementsAre("0:", "0:root", "0:self"));
}

TEST(WalkTest, LeavesOutWhatIsExcludedSkippedOrBatonsOwn) {
  const TestDir dir;
  for (const char* path : {"keep", "a/x.o", "a/y", "cache/z", "state/s", ".baton-restore/q", ".baton-set-aside-1/q"}) {
    Put(dir / path, "");
  }
  WalkOptions options = Options(dir);
  options.excludes = {"*.o", "cache"};
  options.skip_paths = {dir / "state", dir / "not there"};
  EXPECT_THAT(PathsOf(options), ElementsAre("0:", "0:a", "0:keep", "0:a/y"));
}

TEST(WalkTest, ExcludePatterns) {
  EXPECT_TRUE(IsExcluded({"*.o"}, "a/b.o"));
  EXPECT_TRUE(IsExcluded({"build"}, "x/build"));
  EXPECT_TRUE(IsExcluded({"a/*"}, "a/b/c"));
  EXPECT_FALSE(IsExcluded({"a/b"}, "x/a/b"));
  EXPECT_FALSE(IsExcluded({"b"}, "b/c"));
  EXPECT_FALSE(IsExcluded({}, "b"));
}

TEST(WalkTest, DeepTreesNeedFewDescriptors) {
  const TestDir dir;
  std::string path = dir.path();
  for (int depth = 0; depth < 300; ++depth) path += "/d";
  ASSERT_TRUE(MakeDirectories(path));
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit few{.rlim_cur = 64, .rlim_max = before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
  EXPECT_EQ(PathsOf(Options(dir)).size(), 301U);
  EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
}

TEST(WalkTest, JustChangedIsUnsettled) {
  const TestDir dir;
  Put(dir / "new", "");
  const auto listing = WalkTree(Options(dir));
  ASSERT_TRUE(listing);
  EXPECT_TRUE(listing->nodes.at(1).unsettled);
}

TEST(WalkTest, RootsMayNotOverlap) {
  EXPECT_TRUE(CheckRoots({{"a", "/a", "/x/a"}, {"b", "/b", "/x/ab"}}, {}));
  const std::vector<WorkspaceRoot> home{{"work", "/home", "/no/home"}, {"tmp", "/tmp", "/no/home/.state/tmp"}};
  EXPECT_TRUE(CheckRoots(home, {"/no/home/.state"}));
  EXPECT_FALSE(CheckRoots(home, {"/no/home/.other", "/no", "/no/home"})) << "what is skipped does not hold it";
  for (const std::vector<WorkspaceRoot>& bad : {std::vector<WorkspaceRoot>{{"a", "", "/x"}, {"b", "", "/x/y"}},
                                                {{"a", "", "/x/y"}, {"b", "", "/x/../x"}},
                                                {{"a", "", "/x"}, {"a", "", "/y"}},
                                                {{"a", "", "x"}},
                                                {{"", "", "/x"}}}) {
    const auto checked = CheckRoots(bad, {});
    ASSERT_FALSE(checked);
    EXPECT_EQ(checked.error().code(), ErrorCode::kInvalidArgument);
  }
}

TEST(WalkTest, AMissingRootIsNamed) {
  const TestDir dir;
  const auto listing = WalkTree({.roots = {{"work", "/work", dir / "none"}}});
  ASSERT_FALSE(listing);
  EXPECT_EQ(listing.error().code(), ErrorCode::kNotFound);
  EXPECT_THAT(listing.error().ToString(), testing::HasSubstr(dir / "none"));
}

TEST(DirectoryTest, OpenBeneathRefusesLinksAndDots) {
  const TestDir dir;
  Put(dir / "in/d/f", "x");
  Put(dir / "out/f", "y");
  std::filesystem::create_directory_symlink(dir / "out", dir / "in/link");
  const auto root = OpenFile(dir / "in", O_RDONLY | O_DIRECTORY);
  ASSERT_TRUE(root);
  EXPECT_TRUE(OpenBeneath(root->get(), "d/f", O_RDONLY));
  EXPECT_TRUE(OpenBeneath(root->get(), "", O_RDONLY));
  EXPECT_FALSE(OpenBeneath(root->get(), "link/f", O_RDONLY));
  EXPECT_FALSE(OpenBeneath(root->get(), "../out/f", O_RDONLY));
  EXPECT_FALSE(OpenBeneath(root->get(), "/etc", O_RDONLY));
}

TEST(DirectoryTest, RemoveTreeDoesNotFollowLinks) {
  const TestDir dir;
  Put(dir / "in/d/f", "x");
  Put(dir / "out/f", "y");
  std::filesystem::create_directory_symlink(dir / "out", dir / "in/d/link");
  const auto root = OpenFile(dir.path(), O_RDONLY | O_DIRECTORY);
  ASSERT_TRUE(root);
  EXPECT_TRUE(RemoveTree(root->get(), "in"));
  EXPECT_FALSE(std::filesystem::exists(dir / "in"));
  EXPECT_EQ(Get(dir / "out/f"), "y");
  EXPECT_FALSE(RemoveTree(root->get(), "in"));
}

}  // namespace
}  // namespace baton
