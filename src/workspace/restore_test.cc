#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <csignal>
#include <map>

#include "workspace/manifest.h"
#include "workspace/save_test_util.h"

namespace baton {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// Everything a program could see of a tree, as text by path.
std::map<std::string, std::string> Snapshot(const std::string& root) {
  std::map<std::string, std::string> tree;
  const auto add = [&](const std::string& path) {
    const struct stat status = StatOf(path);
    std::string text = fmt::format("{:o} links {} ", status.st_mode, S_ISDIR(status.st_mode) ? 0 : status.st_nlink);
    text += fmt::format("mtime {} ", MtimeOf(path));
    if (S_ISREG(status.st_mode)) text += fmt::format("size {} {}", status.st_size, Get(path).substr(0, 100));
    if (S_ISLNK(status.st_mode)) text += std::filesystem::read_symlink(path).string();
    tree[path.substr(root.size())] = text;
  };
  add(root);
  for (const auto& item : std::filesystem::recursive_directory_iterator(root)) add(item.path().string());
  return tree;
}

class RestoreTest : public SavedWorkspaceTest {
 protected:
  WorkspaceRestoreOptions RestoreOptions() const {
    return {.objects_dir = objects(), .roots = Options().roots, .skip_paths = {}, .set_aside_dir = {}};
  }

  Result<WorkspaceRestoreReport> TryRestore(const pb::WorkspaceManifest& manifest) {
    return RestoreWorkspace(manifest, RestoreOptions());
  }

  WorkspaceRestoreReport Restore(const pb::WorkspaceManifest& manifest) {
    auto report = TryRestore(manifest);
    if (!report) {
      ADD_FAILURE() << report.error().ToString();
      return {};
    }
    return std::move(*report);
  }

  // A bit of everything.
  void MakeTree() {
    Put(Work("d/a"), "hello");
    Put(Work("d/empty"), "");
    Put(Work("d/large"), std::string(size_t{9} << 20, 'l'));
    std::filesystem::create_hard_link(Work("d/a"), Work("hard"));
    std::filesystem::create_symlink("d/a", Work("link"));
    std::filesystem::create_symlink("/nowhere", Work("d/dangling"));
    ASSERT_EQ(mkfifo(Work("d/pipe").c_str(), 0620), 0);
    std::filesystem::create_directories(Work("d/sub/empty"));
    ASSERT_EQ(chmod(Work("d/a").c_str(), 04751), 0);
    ASSERT_EQ(chmod(Work("d/sub").c_str(), 0555), 0);
    SetMtime(Work("link"), 77, 7);
    SetMtime(Work("d/a"), -5, 999);
    SetMtime(Work("d/sub"), 1000, 1);
    SetMtime(Work("d"), 2000, 2);
  }
};

TEST_F(RestoreTest, MakesEverythingAnewElsewhere) {
  MakeTree();
  const auto before = Snapshot(Work());
  const pb::WorkspaceManifest manifest = Save();
  WorkspaceRestoreOptions options = RestoreOptions();
  options.roots[0].host_path = dir_ / "other/place";
  const auto report = RestoreWorkspace(manifest, options);
  ASSERT_TRUE(report) << report.error().ToString();
  EXPECT_EQ(Snapshot(dir_ / "other/place"), before);
  EXPECT_EQ(report->files_written, 3U);
  EXPECT_THAT(report->set_aside_dirs, IsEmpty());
  EXPECT_EQ(Snapshot(Work()), before);
}

TEST_F(RestoreTest, WhatIsUnchangedIsLeftAlone) {
  MakeTree();
  Settle();
  const pb::WorkspaceManifest manifest = Save();
  const ino_t inode = StatOf(Work("d/a")).st_ino;
  const struct timespec ctime = StatOf(Work("d")).st_ctim;
  const auto report = Restore(manifest);
  EXPECT_EQ(report.unchanged, static_cast<uint64_t>(manifest.entries_size()));
  EXPECT_EQ(report.files_written, 0U);
  EXPECT_EQ(StatOf(Work("d/a")).st_ino, inode);
  EXPECT_EQ(StatOf(Work("d")).st_ctim.tv_nsec, ctime.tv_nsec);
}

TEST_F(RestoreTest, PutsBackWhatWasChangedDeletedReplacedAndRenamed) {
  MakeTree();
  Settle();
  const auto before = Snapshot(Work());
  const pb::WorkspaceManifest manifest = Save();
  const int64_t large_mtime = MtimeOf(Work("d/large"));
  FlipByte(Work("d/large"), 5 << 20);
  SetMtime(Work("d/large"), large_mtime / 1000000000, static_cast<long>(large_mtime % 1000000000));
  std::filesystem::remove(Work("d/empty"));
  std::filesystem::remove(Work("link"));
  std::filesystem::create_symlink("d/large", Work("link"));
  std::filesystem::remove(Work("d/dangling"));
  Put(Work("d/dangling"), "a file now");
  std::filesystem::rename(Work("d/pipe"), Work("d/renamed"));
  Put(Work("d/a"), "changed through both names");
  const auto report = Restore(manifest);
  EXPECT_EQ(Snapshot(Work()), before);
  EXPECT_EQ(report.files_set_aside, 2U);
  EXPECT_THAT(report.set_aside_dirs, ElementsAre(dir_ / "work.set-aside-1"));
  EXPECT_EQ(Get(dir_ / "work.set-aside-1/d/dangling"), "a file now");
}

TEST_F(RestoreTest, OnlyMetadataIsCorrectedWhereTheContentIsTheSame) {
  MakeTree();
  Settle();
  const auto before = Snapshot(Work());
  const pb::WorkspaceManifest manifest = Save();
  ASSERT_EQ(chmod(Work("d/large").c_str(), 0600), 0);
  SetMtime(Work("d/a"), 1, 1);
  ASSERT_EQ(chmod(Work("d/pipe").c_str(), 0666), 0);
  ASSERT_EQ(chmod(Work("d/sub").c_str(), 0700), 0);
  const ino_t inode = StatOf(Work("d/large")).st_ino;
  const auto report = Restore(manifest);
  EXPECT_EQ(Snapshot(Work()), before);
  EXPECT_EQ(report.files_written, 0U);
  EXPECT_EQ(StatOf(Work("d/large")).st_ino, inode);
}

TEST_F(RestoreTest, LaterFilesAreSetAsideAndNothingOfThemIsLost) {
  Put(Work("d/a"), "1");
  const auto before = Snapshot(Work());
  const pb::WorkspaceManifest manifest = Save();
  Put(Work("later"), "x");
  Put(Work("d/later/deep"), "y");
  Put(Work("tree/one/two"), "z");
  const auto first = Restore(manifest);
  EXPECT_EQ(Snapshot(Work()), before);
  EXPECT_EQ(first.files_set_aside, 3U);
  EXPECT_EQ(Get(dir_ / "work.set-aside-1/later"), "x");
  EXPECT_EQ(Get(dir_ / "work.set-aside-1/d/later/deep"), "y");
  EXPECT_EQ(Get(dir_ / "work.set-aside-1/tree/one/two"), "z");
  Put(Work("later"), "again");
  EXPECT_THAT(Restore(manifest).set_aside_dirs, ElementsAre(dir_ / "work.set-aside-2"));
  EXPECT_EQ(Get(dir_ / "work.set-aside-2/later"), "again");
}

TEST_F(RestoreTest, TheUserChoosesWhereLaterFilesGo) {
  const pb::WorkspaceManifest manifest = Save();
  Put(Work("later"), "x");
  WorkspaceRestoreOptions options = RestoreOptions();
  options.set_aside_dir = dir_ / "aside/here";
  const auto report = RestoreWorkspace(manifest, options);
  ASSERT_TRUE(report) << report.error().ToString();
  EXPECT_THAT(report->set_aside_dirs, ElementsAre(dir_ / "aside/here/work-1"));
  EXPECT_EQ(Get(dir_ / "aside/here/work-1/later"), "x");
}

TEST_F(RestoreTest, WithoutAPlaceBesideTheRootLaterFilesStayInItAndAreNotSaved) {
  const pb::WorkspaceManifest manifest = Save();
  Put(Work("later"), "x");
  Put(dir_ / "file", "a file is no place for a folder");
  WorkspaceRestoreOptions options = RestoreOptions();
  options.set_aside_dir = dir_ / "file/below";
  const auto report = RestoreWorkspace(manifest, options);
  ASSERT_TRUE(report) << report.error().ToString();
  EXPECT_THAT(report->set_aside_dirs, ElementsAre(Work(".baton-set-aside-1")));
  EXPECT_EQ(Get(Work(".baton-set-aside-1/later")), "x");
  EXPECT_THAT(PathsOf(Save()), ElementsAre(""));
}

TEST_F(RestoreTest, ExcludedAndSkippedFilesStay) {
  excludes_ = {"*.tmp"};
  Put(Work("a"), "1");
  const pb::WorkspaceManifest manifest = Save();
  Put(Work("x.tmp"), "t");
  Put(Work("state/deep/log"), "l");
  Put(Work("state/other"), "o");
  WorkspaceRestoreOptions options = RestoreOptions();
  options.skip_paths = {Work("state/deep/log")};
  const auto report = RestoreWorkspace(manifest, options);
  ASSERT_TRUE(report) << report.error().ToString();
  EXPECT_EQ(Get(Work("x.tmp")), "t");
  EXPECT_EQ(Get(Work("state/deep/log")), "l");
  EXPECT_EQ(Get(dir_ / "work.set-aside-1/state/other"), "o");
}

TEST_F(RestoreTest, NamesOfOneFileAreTakenApartAgain) {
  Put(Work("a"), "same");
  Put(Work("b"), "same");
  Settle();
  const auto before = Snapshot(Work());
  const pb::WorkspaceManifest manifest = Save();
  std::filesystem::remove(Work("b"));
  std::filesystem::create_hard_link(Work("a"), Work("b"));
  std::filesystem::create_hard_link(Work("a"), Work("later"));
  Restore(manifest);
  EXPECT_EQ(Snapshot(Work()), before);
  EXPECT_NE(StatOf(Work("a")).st_ino, StatOf(Work("b")).st_ino);
  EXPECT_NE(StatOf(Work("a")).st_ino, StatOf(dir_ / "work.set-aside-1/later").st_ino);
}

TEST_F(RestoreTest, NamesOfOneFileAreJoinedAgain) {
  Put(Work("a"), "same");
  std::filesystem::create_hard_link(Work("a"), Work("b"));
  const auto before = Snapshot(Work());
  const pb::WorkspaceManifest manifest = Save();
  std::filesystem::remove(Work("b"));
  Put(Work("b"), "same");
  Restore(manifest);
  EXPECT_EQ(Snapshot(Work()), before);
  EXPECT_EQ(StatOf(Work("a")).st_ino, StatOf(Work("b")).st_ino);
}

TEST_F(RestoreTest, NeverGoesThroughALinkThatCameLater) {
  Put(Work("d/a"), "inside");
  const pb::WorkspaceManifest manifest = Save();
  std::filesystem::rename(Work("d"), dir_ / "elsewhere");
  Put(dir_ / "elsewhere/a", "outside");
  std::filesystem::create_directory_symlink(dir_ / "elsewhere", Work("d"));
  Restore(manifest);
  EXPECT_EQ(Get(Work("d/a")), "inside");
  EXPECT_EQ(Get(dir_ / "elsewhere/a"), "outside");
  EXPECT_TRUE(std::filesystem::is_symlink(dir_ / "work.set-aside-1/d"));
}

TEST_F(RestoreTest, EveryDamagedByteOfAnObjectIsFoundBeforeAnythingIsTouched) {
  Put(Work("a"), "hello");
  Put(Work("z"), "0123456789");
  const pb::WorkspaceManifest manifest = Save();
  const std::string hash = ContentHash::FromBytes(EntryAt(manifest, "z").pieces(0).hash()).Hex();
  const std::string object = objects() + "/" + hash.substr(0, 2) + "/" + hash;
  Put(Work("a"), "changed");
  Put(Work("z"), "changed too");
  Put(Work("later"), "x");
  const auto before = Snapshot(Work());
  for (size_t at = 0; at < 10; ++at) {
    FlipByte(object, at);
    const auto report = TryRestore(manifest);
    ASSERT_FALSE(report);
    EXPECT_EQ(report.error().code(), ErrorCode::kCorrupt);
    EXPECT_THAT(report.error().ToString(), HasSubstr(Work("z")));
    FlipByte(object, at);
    EXPECT_EQ(Snapshot(Work()), before);
  }
  std::filesystem::remove(object);
  EXPECT_FALSE(TryRestore(manifest));
  EXPECT_EQ(Snapshot(Work()), before);
}

TEST_F(RestoreTest, ADamagedObjectOfAnUnchangedFileDoesNotMatter) {
  Put(Work("a"), "hello");
  const pb::WorkspaceManifest manifest = Save();
  std::filesystem::remove_all(objects());
  std::filesystem::create_directories(objects());
  EXPECT_TRUE(TryRestore(manifest));
  EXPECT_FALSE(VerifyWorkspace(manifest, objects()));
}

TEST_F(RestoreTest, AFullDiskLeavesTheWorkspaceAsItWas) {
  Put(Work("a"), "small");
  Put(Work("b"), std::string(100000, 'x'));
  const pb::WorkspaceManifest manifest = Save();
  Put(Work("a"), "changed");
  std::filesystem::remove(Work("b"));
  const auto before = Snapshot(Work());
  const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
  rlimit limit{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &limit), 0);
  const rlimit small{.rlim_cur = 5000, .rlim_max = limit.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  const auto report = TryRestore(manifest);
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
  std::signal(SIGXFSZ, old_handler);
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code(), ErrorCode::kIo);
  EXPECT_EQ(Snapshot(Work()), before);
}

TEST_F(RestoreTest, AnInterruptedRestoreIsCompletedByTheNext) {
  MakeTree();
  const auto before = Snapshot(Work());
  const pb::WorkspaceManifest manifest = Save();
  TestDir::RemoveAll(Work("d"));
  Put(Work(".baton-restore/7"), "left by one that was killed");
  Restore(manifest);
  EXPECT_EQ(Snapshot(Work()), before);
}

TEST_F(RestoreTest, AHostileManifestIsRefused) {
  Put(Work("a"), "hello");
  pb::WorkspaceManifest manifest = Save();
  manifest.mutable_entries(1)->set_path("../escaped");
  const auto report = TryRestore(manifest);
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code(), ErrorCode::kCorrupt);
  EXPECT_FALSE(std::filesystem::exists(dir_ / "escaped"));
}

TEST_F(RestoreTest, EveryRootNeedsAPlace) {
  const pb::WorkspaceManifest manifest = Save();
  WorkspaceRestoreOptions options = RestoreOptions();
  options.roots[0].name = "other";
  const auto report = RestoreWorkspace(manifest, options);
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code(), ErrorCode::kInvalidArgument);
  EXPECT_THAT(report.error().ToString(), HasSubstr("/work"));
}

TEST_F(RestoreTest, TheBaselineSparesTheNextSaveReadingEverything) {
  Put(Work("a"), "hello");
  Put(Work("b"), "world");
  const pb::WorkspaceManifest manifest = Save();
  std::filesystem::remove_all(Work());
  const auto report = Restore(manifest);
  pb::WorkspaceManifest baseline = report.baseline;
  Settle();
  // Restored this very moment, so its times are not to be trusted yet; as if the clock had ticked in between:
  for (auto& entry : *baseline.mutable_entries()) entry.set_unsettled(false);
  std::filesystem::remove_all(objects());
  const pb::WorkspaceManifest next = Save(&baseline);
  EXPECT_EQ(last_stats().before_bytes + last_stats().freeze_bytes, 0U);
  EXPECT_EQ(EntryAt(next, "a").pieces(0).hash(), EntryAt(manifest, "a").pieces(0).hash());
}

TEST_F(RestoreTest, HolesStayHoles) {
  {
    const UniqueFd fd = *OpenFile(Work("holes"), O_RDWR | O_CREAT);
    ASSERT_EQ(ftruncate(fd.get(), off_t{1} << 30), 0);
    ASSERT_TRUE(PwriteAll(fd.get(), std::as_bytes(std::span("data")), 100 << 20));
  }
  const auto blocks = StatOf(Work("holes")).st_blocks;
  const pb::WorkspaceManifest manifest = Save();
  std::filesystem::remove(Work("holes"));
  Restore(manifest);
  EXPECT_EQ(StatOf(Work("holes")).st_size, off_t{1} << 30);
  EXPECT_LE(StatOf(Work("holes")).st_blocks, blocks);
  const UniqueFd fd = *OpenFile(Work("holes"), O_RDONLY);
  std::array<std::byte, 5> back{};
  ASSERT_TRUE(PreadExactly(fd.get(), back, 100 << 20));
  EXPECT_STREQ(reinterpret_cast<const char*>(back.data()), "data");
}

TEST_F(RestoreTest, UserAttributesComeBackAndLaterOnesGo) {
  Put(Work("a"), "hello");
  if (setxattr(Work("a").c_str(), "user.note", "abc", 3, 0) != 0) GTEST_SKIP() << "no user.* attributes here";
  const pb::WorkspaceManifest manifest = Save();
  ASSERT_EQ(setxattr(Work("a").c_str(), "user.note", "xyz", 3, 0), 0);
  ASSERT_EQ(setxattr(Work("a").c_str(), "user.later", "1", 1, 0), 0);
  Restore(manifest);
  char value[4] = {};
  EXPECT_EQ(getxattr(Work("a").c_str(), "user.note", value, 3), 3);
  EXPECT_STREQ(value, "abc");
  EXPECT_EQ(getxattr(Work("a").c_str(), "user.later", value, 3), -1);
}

}  // namespace
}  // namespace baton
