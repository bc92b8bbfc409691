#include "resource/file/file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/file.h"
#include "resource/common/kind_test_util.h"
#include "resource/file/file_payload.h"
#include "resource/file/nameless.h"

namespace baton {
namespace {

class FileKindTest : public testing::Test {
 protected:
  FdFacts Facts(int fd) const {
    FdFacts facts = FactsOfOwn(fd);
    facts.users.front().host_pid = getpid();
    return facts;
  }
  pb::FilePayload Captured(int fd) {
    const FdFacts facts = Facts(fd);
    EXPECT_TRUE(kind_->Check(facts, capture_));
    const auto payload = kind_->Capture(facts, capture_);
    EXPECT_TRUE(payload);
    auto file = ParseFilePayload(payload ? *payload : "x");
    EXPECT_TRUE(file) << file.error().ToString();
    return file ? *file : pb::FilePayload();
  }
  std::string Content(const pb::FilePayload& file) const {
    const auto found = capture_.contents.find(ContentSpace(file));
    if (found == capture_.contents.end()) return "";
    return {reinterpret_cast<const char*>(found->second.data()), found->second.size()};
  }

  std::unique_ptr<ResourceKind> kind_ = MakeFileKind();
  FakeCapture capture_;
};

TEST_F(FileKindTest, ClaimsFilesAndDirectoriesOnly) {
  const auto claims = [&](const std::string& path, int flags) {
    const auto fd = OpenFile(path, flags);
    return fd && kind_->Claims(FactsOfOwn(fd->get()));
  };
  EXPECT_TRUE(claims("/tmp", O_RDONLY));
  EXPECT_TRUE(claims("/proc/self/exe", O_RDONLY));
  EXPECT_TRUE(claims("/proc/self/exe", O_PATH | O_NOFOLLOW));
  EXPECT_FALSE(claims("/dev/null", O_RDONLY));
  EXPECT_FALSE(claims("/proc/self/ns/pid", O_RDONLY));
}

TEST_F(FileKindTest, CapturesFlagsAndPosition) {
  const auto fd = OpenFile("/proc/self/exe", O_RDONLY | O_NOFOLLOW);
  ASSERT_FALSE(fd);  // it is a link
  const auto exe = ReadLink("/proc/self/exe");
  ASSERT_TRUE(exe);
  const auto file = OpenFile(*exe, O_RDONLY | O_NOATIME);
  ASSERT_TRUE(file);
  ASSERT_EQ(lseek(file->get(), 77, SEEK_SET), 77);
  const pb::FilePayload payload = Captured(file->get());
  EXPECT_EQ(payload.path(), *exe);
  EXPECT_EQ(payload.offset(), 77U);
  EXPECT_EQ(payload.flags() & ~kLargeFile, static_cast<unsigned>(O_NOATIME));
  EXPECT_TRUE(capture_.contents.empty());
}

TEST_F(FileKindTest, TakesTheContentOfADeletedFileWithoutItsHoles) {
  const auto fd = OpenFile("/tmp", O_TMPFILE | O_RDWR);
  ASSERT_TRUE(fd);
  constexpr off_t kFar = off_t{1} << 30;
  ASSERT_EQ(ftruncate(fd->get(), 2 * kFar), 0);
  ASSERT_EQ(pwrite(fd->get(), "far", 3, kFar), 3);
  ASSERT_EQ(lseek(fd->get(), 5, SEEK_SET), 5);
  const pb::FilePayload payload = Captured(fd->get());
  EXPECT_EQ(payload.origin(), pb::FilePayload::NAMELESS);
  EXPECT_EQ(payload.size(), static_cast<uint64_t>(2 * kFar));
  EXPECT_EQ(payload.offset(), 5U);
  ASSERT_EQ(payload.extents_size(), 1);
  EXPECT_EQ(payload.extents(0).offset(), static_cast<uint64_t>(kFar));
  EXPECT_TRUE(Content(payload).starts_with("far"));
  EXPECT_EQ(lseek(fd->get(), 0, SEEK_CUR), 5) << "the job's position has been moved";
}

TEST_F(FileKindTest, ReadsWhatTheJobMayOnlyWrite) {
  const auto fd = OpenFile("/tmp", O_TMPFILE | O_WRONLY, 0600);
  ASSERT_TRUE(fd);
  ASSERT_TRUE(WriteAll(fd->get(), "secret"));
  EXPECT_EQ(Content(Captured(fd->get())), "secret");
}

TEST_F(FileKindTest, TakesAMemfdWithItsSeals) {
  const UniqueFd fd(memfd_create("buffer", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  ASSERT_TRUE(WriteAll(fd.get(), "abc"));
  ASSERT_EQ(fcntl(fd.get(), F_ADD_SEALS, F_SEAL_GROW | F_SEAL_WRITE), 0);
  const pb::FilePayload payload = Captured(fd.get());
  EXPECT_EQ(payload.origin(), pb::FilePayload::MEMFD);
  EXPECT_EQ(payload.path(), "buffer");
  EXPECT_EQ(payload.seals(), static_cast<uint32_t>(F_SEAL_GROW | F_SEAL_WRITE));
  EXPECT_EQ(Content(payload), "abc");
}

TEST_F(FileKindTest, RefusesTooMuchWithoutAName) {
  constexpr uint64_t kLimit = uint64_t{1} << 20;
  const auto fd = OpenFile("/tmp", O_TMPFILE | O_RDWR);
  ASSERT_TRUE(fd);
  ASSERT_TRUE(WriteAll(fd->get(), std::string(kLimit, 'x')));
  EXPECT_TRUE(CheckContent(Facts(fd->get()), kLimit));
  ASSERT_TRUE(WriteAll(fd->get(), std::string(kLimit, 'x')));
  const auto checked = CheckContent(Facts(fd->get()), kLimit);
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().code(), ErrorCode::kNotSupported);
  EXPECT_THAT(checked.error().ToString(), testing::HasSubstr("2 MiB in it, more than the 1 MiB"));
}

TEST_F(FileKindTest, CapturesALeaseAndWhoIsToldOfItsBreak) {
  const std::string path = testing::TempDir() + fmt::format("lease-{}", getpid());
  const auto fd = OpenFile(path, O_CREAT | O_RDWR);
  ASSERT_TRUE(fd);
  ASSERT_EQ(fcntl(fd->get(), F_SETSIG, SIGUSR1), 0);
  ASSERT_EQ(fcntl(fd->get(), F_SETLEASE, F_WRLCK), 0);
  const pb::FilePayload payload = Captured(fd->get());
  unlink(path.c_str());
  ASSERT_EQ(payload.locks_size(), 1);
  EXPECT_EQ(payload.locks(0).type(), pb::FileLock::LEASE);
  EXPECT_TRUE(payload.locks(0).write());
  EXPECT_EQ(payload.owner().kind(), pb::FileOwner::PROCESS);
  EXPECT_EQ(payload.owner().signal(), SIGUSR1);
}

TEST_F(FileKindTest, RefusesAWriteLeaseOfWhatItWouldHaveToRead) {
  const auto fd = OpenFile("/tmp", O_TMPFILE | O_RDWR);
  ASSERT_TRUE(fd);
  ASSERT_EQ(fcntl(fd->get(), F_SETLEASE, F_WRLCK), 0);
  const auto checked = kind_->Check(Facts(fd->get()), capture_);
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().code(), ErrorCode::kNotSupported);
  EXPECT_THAT(checked.error().ToString(), testing::HasSubstr("lease"));
}

TEST_F(FileKindTest, CapturesLocks) {
  const auto fd = OpenFile("/tmp", O_TMPFILE | O_RDWR);
  ASSERT_TRUE(fd);
  ASSERT_EQ(flock(fd->get(), LOCK_EX), 0);
  const pb::FilePayload payload = Captured(fd->get());
  ASSERT_EQ(payload.locks_size(), 1);
  EXPECT_TRUE(payload.locks(0).write());
}

TEST_F(FileKindTest, DescribesItselfAndRefusesNonsense) {
  const auto fd = OpenFile("/tmp", O_RDONLY);
  ASSERT_TRUE(fd);
  const auto payload = kind_->Capture(Facts(fd->get()), capture_);
  ASSERT_TRUE(payload);
  EXPECT_EQ(*kind_->Describe(*payload), "directory /tmp, read");
  const auto nonsense = kind_->Describe("\xff\xff");
  ASSERT_FALSE(nonsense);
  EXPECT_EQ(nonsense.error().code(), ErrorCode::kCorrupt);
}

}  // namespace
}  // namespace baton
