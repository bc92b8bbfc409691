#include "resource/file/locks.h"

#include <gtest/gtest.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/file.h"
#include "resource/common/kind_test_util.h"

namespace baton {
namespace {

class LocksTest : public testing::Test {
 protected:
  LocksTest() : fd_(OpenFile("/tmp", O_TMPFILE | O_RDWR).value()) {}

  FdFacts Facts() const {
    FdFacts facts = FactsOfOwn(fd_.get());
    facts.users.front().host_pid = getpid();
    return facts;
  }
  void LockRange(int command, short type, off_t start, off_t bytes) const {
    struct flock range{};
    range.l_type = type;
    range.l_whence = SEEK_SET;
    range.l_start = start;
    range.l_len = bytes;
    ASSERT_EQ(fcntl(fd_.get(), command, &range), 0);
  }
  std::vector<pb::FileLock> Gathered() const {
    auto locks = GatherLocks(Facts());
    EXPECT_TRUE(locks) << locks.error().ToString();
    return locks ? *locks : std::vector<pb::FileLock>();
  }

  UniqueFd fd_;
};

TEST(ParseLockTest, ReadsEveryKind) {
  const auto flock = ParseLock("1: FLOCK  ADVISORY  WRITE 4242 fe:00:1234 0 EOF", 0);
  ASSERT_TRUE(flock);
  EXPECT_EQ(flock->type(), pb::FileLock::FLOCK);
  EXPECT_TRUE(flock->write());
  const auto process = ParseLock("2: POSIX  ADVISORY  READ 4242 fe:00:1234 100 199", 7);
  ASSERT_TRUE(process);
  EXPECT_EQ(process->type(), pb::FileLock::PROCESS);
  EXPECT_FALSE(process->write());
  EXPECT_EQ(process->start(), 100U);
  EXPECT_EQ(process->bytes(), 100U);
  EXPECT_EQ(process->ns_pid(), 7U);
  const auto open_file = ParseLock("3: OFDLCK ADVISORY  WRITE -1 00:1f:99 5 EOF", 7);
  ASSERT_TRUE(open_file);
  EXPECT_EQ(open_file->type(), pb::FileLock::OPEN_FILE);
  EXPECT_EQ(open_file->start(), 5U);
  EXPECT_EQ(open_file->bytes(), 0U);
  EXPECT_EQ(open_file->ns_pid(), 0U);
}

TEST(ParseLockTest, ReadsLeases) {
  const auto read = ParseLock("1: LEASE  ACTIVE    READ 4242 fe:00:1234 0 EOF", 0);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->type(), pb::FileLock::LEASE);
  EXPECT_FALSE(read->write());
  EXPECT_EQ(read->broken(), pb::FileLock::NOT_BROKEN);
  const auto downgraded = ParseLock("1: LEASE  BREAKING  READ 4242 fe:00:1234 0 EOF", 0);
  ASSERT_TRUE(downgraded);
  EXPECT_TRUE(downgraded->write());
  EXPECT_EQ(downgraded->broken(), pb::FileLock::TO_READ);
  const auto ended = ParseLock("1: LEASE  BREAKING  UNLCK 4242 fe:00:1234 0 EOF", 0);
  ASSERT_TRUE(ended);
  EXPECT_EQ(ended->broken(), pb::FileLock::TO_NOTHING);
}

TEST(ParseLockTest, RefusesDelegations) {
  const auto lease = ParseLock("1: DELEG  ACTIVE    READ 4242 fe:00:1234 0 EOF", 0);
  ASSERT_FALSE(lease);
  EXPECT_EQ(lease.error().code(), ErrorCode::kNotSupported);
}

TEST(ParseLockTest, RefusesWhatItDoesNotUnderstand) {
  for (const std::string_view line :
       {"", "1: FLOCK", "1: LEASE BREAKING WRITE 1 a:b:1 0 EOF", "1: LEASE ACTIVE UNLCK 1 a:b:1 0 EOF",
        "1: MAGIC ADVISORY WRITE 1 a:b:1 0 EOF", "1: POSIX ADVISORY NONE 1 a:b:1 0 EOF",
        "1: POSIX ADVISORY READ 1 a:b:1 9 5", "1: POSIX ADVISORY READ 1 a:b:1 x EOF",
        "1: POSIX ADVISORY READ 1 a:b:1 0 -5", "1: POSIX ADVISORY READ 1 a:b:1 0 EOF more"}) {
    const auto lock = ParseLock(line, 1);
    ASSERT_FALSE(lock) << line;
    EXPECT_EQ(lock.error().code(), ErrorCode::kCorrupt) << line;
  }
}

TEST_F(LocksTest, FindsNoneWhereThereIsNone) { EXPECT_TRUE(Gathered().empty()); }

TEST_F(LocksTest, FindsAFlock) {
  ASSERT_EQ(flock(fd_.get(), LOCK_SH), 0);
  const auto locks = Gathered();
  ASSERT_EQ(locks.size(), 1U);
  EXPECT_EQ(locks[0].type(), pb::FileLock::FLOCK);
  EXPECT_FALSE(locks[0].write());
}

TEST_F(LocksTest, FindsRangesOfTheProcessAndOfTheOpenFile) {
  LockRange(F_SETLK, F_WRLCK, 10, 20);
  LockRange(F_OFD_SETLK, F_RDLCK, 100, 0);
  const auto locks = Gathered();
  ASSERT_EQ(locks.size(), 2U);
  EXPECT_EQ(locks[0].type(), pb::FileLock::OPEN_FILE);
  EXPECT_EQ(locks[0].start(), 100U);
  EXPECT_EQ(locks[0].bytes(), 0U);
  EXPECT_EQ(locks[1].type(), pb::FileLock::PROCESS);
  EXPECT_TRUE(locks[1].write());
  EXPECT_EQ(locks[1].bytes(), 20U);
  EXPECT_EQ(locks[1].ns_pid(), static_cast<uint32_t>(getpid()));
}

TEST_F(LocksTest, CountsAProcessWithTwoDescriptorsOnce) {
  LockRange(F_SETLK, F_WRLCK, 0, 1);
  const auto second = DupFd(fd_.get());
  ASSERT_TRUE(second);
  FdFacts facts = Facts();
  facts.users.push_back({getpid(), second->get(), true, getpid()});
  const auto locks = GatherLocks(facts);
  ASSERT_TRUE(locks);
  EXPECT_EQ(locks->size(), 1U);
}

}  // namespace
}  // namespace baton
