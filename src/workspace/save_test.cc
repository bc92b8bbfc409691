#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <csignal>
#include <functional>

#include "workspace/manifest.h"
#include "workspace/objects.h"
#include "workspace/save_test_util.h"

namespace baton {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class SaveTest : public SavedWorkspaceTest {};

TEST_F(SaveTest, ListsEverythingWithItsDetails) {
  Put(Work("d/file"), "hello");
  ASSERT_EQ(chmod(Work("d/file").c_str(), 0640), 0);
  SetMtime(Work("d/file"), 12, 345);
  std::filesystem::create_symlink("d/file", Work("link"));
  ASSERT_EQ(mkfifo(Work("pipe").c_str(), 0600), 0);
  const pb::WorkspaceManifest manifest = Save();
  EXPECT_THAT(PathsOf(manifest), ElementsAre("", "d", "link", "pipe", "d/file"));
  const pb::WorkspaceEntry file = EntryAt(manifest, "d/file");
  EXPECT_EQ(file.type(), pb::WorkspaceEntry::FILE);
  EXPECT_EQ(file.mode(), 0640U);
  EXPECT_EQ(file.size(), 5U);
  EXPECT_EQ(file.mtime_ns(), 12'000'000'345);
  EXPECT_EQ(file.pieces_size(), 1);
  EXPECT_EQ(EntryAt(manifest, "link").link_target(), "d/file");
  EXPECT_EQ(EntryAt(manifest, "pipe").type(), pb::WorkspaceEntry::FIFO);
  EXPECT_TRUE(VerifyWorkspace(manifest, objects()));
}

TEST_F(SaveTest, ManifestOnDiskIsTheOneInMemory) {
  Put(Work("a"), "1");
  const pb::WorkspaceManifest manifest = Save();
  const auto loaded = LoadWorkspaceManifest(last_manifest_path());
  ASSERT_TRUE(loaded) << loaded.error().ToString();
  EXPECT_EQ(loaded->SerializeAsString(), manifest.SerializeAsString());
}

TEST_F(SaveTest, UnchangedFilesAreNotReadAgain) {
  Put(Work("a"), "hello");
  Settle();
  const pb::WorkspaceManifest first = Save();
  Save(&first);
  EXPECT_EQ(last_stats().before_bytes, 0U);
  EXPECT_EQ(last_stats().freeze_files, 0U);
}

TEST_F(SaveTest, FindsAChangeThatKeepsSizeAndMtime) {
  Put(Work("a"), "hello");
  SetMtime(Work("a"), 100, 0);
  Settle();
  const pb::WorkspaceManifest first = Save();
  Put(Work("a"), "HELLO");
  SetMtime(Work("a"), 100, 0);
  const pb::WorkspaceManifest second = Save(&first);
  EXPECT_EQ(EntryAt(first, "a").mtime_ns(), EntryAt(second, "a").mtime_ns());
  EXPECT_EQ(SavedContent(second, "a"), "HELLO");
}

TEST_F(SaveTest, FindsAFileReplacedByAnotherOfTheSameSizeAndTime) {
  Put(Work("a"), "hello");
  Put(Work("b"), "HELLO");
  SetMtime(Work("a"), 100, 0);
  SetMtime(Work("b"), 100, 0);
  Settle();
  const pb::WorkspaceManifest first = Save();
  std::filesystem::rename(Work("b"), Work("a"));
  const pb::WorkspaceManifest second = Save(&first);
  EXPECT_EQ(SavedContent(second, "a"), "HELLO");
  EXPECT_THAT(PathsOf(second), ElementsAre("", "a"));
}

TEST_F(SaveTest, TheFreezeTakesWhatChangedAfterThePreCopy) {
  Put(Work("a"), "hello");
  Put(Work("gone"), "x");
  Settle();
  const auto between = [&] {
    Put(Work("a"), "changed");
    Put(Work("new/b"), "new");
    std::filesystem::remove(Work("gone"));
  };
  const pb::WorkspaceManifest manifest = Save(nullptr, {}, between);
  EXPECT_THAT(PathsOf(manifest), ElementsAre("", "a", "new", "new/b"));
  EXPECT_EQ(SavedContent(manifest, "a"), "changed");
  EXPECT_EQ(SavedContent(manifest, "new/b"), "new");
  EXPECT_EQ(last_stats().freeze_files, 2U);
  EXPECT_EQ(last_stats().freeze_bytes, 10U);
}

TEST_F(SaveTest, ALargeFileIsTakenInTheFreezeToo) {
  const std::string large(size_t{90} << 20, 'q');
  const pb::WorkspaceManifest manifest = Save(nullptr, {}, [&] { Put(Work("large"), large); });
  EXPECT_TRUE(SavedContent(manifest, "large") == large);
}

TEST_F(SaveTest, OfAnAppendedFileTheFreezeStoresTheLastPieceOnly) {
  Put(Work("log"), std::string(size_t{3} * kPieceBytes + 10, 'x'));
  Settle();
  const auto append = [&] { std::ofstream(Work("log"), std::ios::app) << "tail"; };
  const pb::WorkspaceManifest manifest = Save(nullptr, {}, append);
  EXPECT_EQ(last_stats().freeze_bytes, 14U);
  EXPECT_TRUE(SavedContent(manifest, "log") == Get(Work("log")));
}

TEST_F(SaveTest, AnAppendOnlyFileThatWasEmptiedAndGrewAgainIsReadWhole) {
  Put(Work("log"), std::string(size_t{3} * kPieceBytes + 10, 'x'));
  Settle();
  const struct stat status = StatOf(Work("log"));
  const OpenFileHint hint{.device = status.st_dev, .inode = status.st_ino, .mapped = false, .append_only = true};
  const pb::WorkspaceManifest first = Save(nullptr, {hint});
  Put(Work("log"), std::string(size_t{3} * kPieceBytes + 20, 'y'));
  const pb::WorkspaceManifest second = Save(&first, {hint});
  EXPECT_TRUE(SavedContent(second, "log") == Get(Work("log")));
}

TEST_F(SaveTest, StoresThroughAMappingAreFoundThoughTimesStandStill) {
  Put(Work("map"), std::string(4096, 'a'));
  const UniqueFd fd = *OpenFile(Work("map"), O_RDWR);
  char* const map = static_cast<char*>(mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0));
  ASSERT_NE(map, MAP_FAILED);
  map[0] = 'b';  // dirty from here on: the next store does not move mtime
  Settle();
  const struct stat status = StatOf(Work("map"));
  const OpenFileHint hint{.device = status.st_dev, .inode = status.st_ino, .mapped = true, .append_only = false};
  const pb::WorkspaceManifest first = Save(nullptr, {hint}, [&] { map[1] = 'c'; });
  EXPECT_EQ(SavedContent(first, "map").substr(0, 3), "bca");
  map[2] = 'd';
  munmap(map, 4096);
  const pb::WorkspaceManifest second = Save(&first);
  EXPECT_EQ(SavedContent(second, "map").substr(0, 4), "bcda")
      << "stored after the first save, unmapped before the second";
}

TEST_F(SaveTest, HardLinksAreOneFile) {
  Put(Work("a"), "hello");
  std::filesystem::create_hard_link(Work("a"), Work("b"));
  const pb::WorkspaceManifest manifest = Save();
  EXPECT_EQ(EntryAt(manifest, "a").type(), pb::WorkspaceEntry::FILE);
  EXPECT_EQ(EntryAt(manifest, "b").type(), pb::WorkspaceEntry::HARD_LINK);
  EXPECT_EQ(manifest.entries(static_cast<int>(EntryAt(manifest, "b").hard_link_of())).path(), "a");
}

TEST_F(SaveTest, SocketsAreReportedAndLeftOut) {
  const UniqueFd socket_fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  const std::string path = Work("s");
  ASSERT_LT(path.size(), sizeof(address.sun_path));
  path.copy(address.sun_path, path.size());
  ASSERT_EQ(bind(socket_fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  EXPECT_THAT(PathsOf(Save()), ElementsAre(""));
  EXPECT_THAT(last_stats().notes, ElementsAre(HasSubstr(path)));
}

TEST_F(SaveTest, TheStoreInsideTheWorkspaceIsNotSaved) {
  UseObjectsIn(Work("store/objects"));
  Put(Work("a"), "hello");
  const pb::WorkspaceManifest first = Save();
  EXPECT_THAT(PathsOf(Save(&first)), ElementsAre("", "a", "store"));
}

TEST_F(SaveTest, TooLargeAWorkspaceIsRefusedWithTheLargest) {
  Put(Work("small/x"), std::string(100, 'x'));
  Put(Work("big/y"), std::string(10000, 'x'));
  WorkspaceOptions options = Options();
  options.limit_bytes = 9000;
  for (const Error& error : {CheckWorkspace(options).error(), WorkspaceSave::PreCopy(options, nullptr).error()}) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
    EXPECT_THAT(error.ToString(), HasSubstr("largest: " + Work("big")));
    EXPECT_THAT(error.ToString(), HasSubstr("--exclude"));
  }
  options.excludes = {"big"};
  EXPECT_TRUE(CheckWorkspace(options));
}

TEST_F(SaveTest, ASaveThatIsGivenUpLeavesNoObjects) {
  Put(Work("a"), "hello");
  {
    auto save = WorkspaceSave::PreCopy(Options(), nullptr);
    ASSERT_TRUE(save);
    EXPECT_FALSE(WorkspaceSave::PreCopy(Options(), nullptr)) << "one at a time";
  }
  EXPECT_TRUE(std::filesystem::is_empty(objects()));
}

// Runs `body` with files limited to `bytes`; what would be larger fails with EFBIG as on a full disk.
void WithFileSizeLimit(rlim_t bytes, const std::function<void()>& body) {
  const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  const rlimit small{.rlim_cur = bytes, .rlim_max = before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  body();
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
  std::signal(SIGXFSZ, old_handler);
}

TEST_F(SaveTest, AFullStoreIsAnErrorAndTheNextSaveWorks) {
  Put(Work("a"), std::string(100000, 'x'));
  WithFileSizeLimit(5000, [&] {
    const auto save = WorkspaceSave::PreCopy(Options(), nullptr);
    ASSERT_FALSE(save);
    EXPECT_EQ(save.error().code(), ErrorCode::kIo);
    EXPECT_THAT(save.error().ToString(), HasSubstr(Work("a")));
  });
  EXPECT_TRUE(std::filesystem::is_empty(objects()));
  EXPECT_EQ(SavedContent(Save(), "a").size(), 100000U);
}

TEST_F(SaveTest, CollectionDropsWhatNoManifestNeeds) {
  Put(Work("a"), "one");
  Put(Work("b"), "both");
  const pb::WorkspaceManifest first = Save();
  const std::string first_path = last_manifest_path();
  Put(Work("a"), "two!");
  const pb::WorkspaceManifest second = Save(&first);
  const auto both = CollectObjects(objects(), {first_path, last_manifest_path()});
  EXPECT_EQ(both.value_or(99), 0U);
  const auto freed = CollectObjects(objects(), {last_manifest_path()});
  ASSERT_TRUE(freed) << freed.error().ToString();
  EXPECT_EQ(*freed, 3U);
  EXPECT_TRUE(VerifyWorkspace(second, objects()));
  const auto verified = VerifyWorkspace(first, objects());
  ASSERT_FALSE(verified);
  EXPECT_EQ(verified.error().code(), ErrorCode::kNotFound);
  EXPECT_THAT(verified.error().ToString(), HasSubstr("work/a"));
}

TEST_F(SaveTest, CollectionDeletesNothingIfAManifestIsDamaged) {
  Put(Work("a"), "one");
  const pb::WorkspaceManifest manifest = Save();
  FlipByte(last_manifest_path(), 20);
  const auto freed = CollectObjects(objects(), {last_manifest_path()});
  ASSERT_FALSE(freed);
  EXPECT_EQ(freed.error().code(), ErrorCode::kCorrupt);
  EXPECT_TRUE(VerifyWorkspace(manifest, objects()));
}

TEST_F(SaveTest, KeepsUserAttributes) {
  Put(Work("a"), "hello");
  if (setxattr(Work("a").c_str(), "user.note", "abc", 3, 0) != 0) GTEST_SKIP() << "no user.* attributes here";
  const pb::WorkspaceManifest manifest = Save();
  ASSERT_EQ(EntryAt(manifest, "a").xattrs_size(), 1);
  EXPECT_EQ(EntryAt(manifest, "a").xattrs(0).name(), "user.note");
  EXPECT_EQ(EntryAt(manifest, "a").xattrs(0).value(), "abc");
}

}  // namespace
}  // namespace baton
