#include "thread/read_ahead.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <system_error>
#include <thread>

namespace baton {
namespace {

// Parts filled with their number, from 1 on.
class Numbers {
 public:
  explicit Numbers(int parts) : parts_(parts) {}
  Result<size_t> operator()(std::span<std::byte> part) {
    if (made_ == parts_) return size_t{0};
    std::ranges::fill(part, std::byte(++made_));
    return part.size() - static_cast<size_t>(made_ % 3);
  }

 private:
  int parts_;
  int made_ = 0;
};

int PartsInOrder(ReadAhead& ahead) {
  for (int number = 1;; ++number) {
    const auto part = ahead.Next();
    if (!part) return -1;
    if (part->empty()) return number - 1;
    const bool whole = part->size() == 64 - static_cast<size_t>(number % 3) &&
                       std::ranges::all_of(*part, [&](std::byte value) { return value == std::byte(number); });
    if (!whole) return -number;
  }
}

bool CanMakeThread() {
  try {
    std::thread([] {}).join();
    return true;
  } catch (const std::system_error&) {
    return false;
  }
}

TEST(ReadAhead, HandsOnAllPartsInTheirOrder) {
  std::vector<std::byte> room(size_t{64} * 3);
  for (const int parts : {0, 1, 2, 3, 4, 100}) {
    ReadAhead ahead(room, 64, Numbers(parts));
    EXPECT_EQ(PartsInOrder(ahead), parts);
  }
}

TEST(ReadAhead, ReadsWhileThePartBeforeIsInUse) {
  std::vector<std::byte> room(size_t{64} * 2);
  std::atomic<int> reads = 0;
  ReadAhead ahead(room, 64, [&](std::span<std::byte> part) -> Result<size_t> {
    reads = reads + 1;
    reads.notify_all();
    return part.size();
  });
  ASSERT_TRUE(ahead.Next());
  for (int seen = reads; seen < 2; seen = reads) reads.wait(seen);  // would not end otherwise
  ASSERT_TRUE(ahead.Next());
}

TEST(ReadAhead, AnErrorComesAfterWhatWasReadBefore) {
  std::vector<std::byte> room(size_t{64} * 4);
  int calls = 0;
  ReadAhead ahead(room, 64, [&](std::span<std::byte> part) -> Result<size_t> {
    if (++calls == 3) return MakeError(ErrorCode::kTaskGone, "it ended");
    return part.size();
  });
  EXPECT_TRUE(ahead.Next());
  EXPECT_TRUE(ahead.Next());
  const auto third = ahead.Next();
  ASSERT_FALSE(third);
  EXPECT_EQ(third.error().code(), ErrorCode::kTaskGone);
}

TEST(ReadAhead, MayBeLeftBeforeTheEnd) {
  std::vector<std::byte> room(size_t{64} * 2);
  for (int taken = 0; taken < 5; ++taken) {
    ReadAhead ahead(room, 64, Numbers(1000));
    for (int i = 0; i < taken; ++i) ASSERT_TRUE(ahead.Next());
  }
}

TEST(ReadAhead, WithoutAThreadEachPartIsReadWhenAsked) {
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    const rlimit none{.rlim_cur = 0, .rlim_max = 0};
    setrlimit(RLIMIT_NPROC, &none);
    if (geteuid() == 0 && setuid(65534) != 0) _exit(2);
    if (CanMakeThread()) _exit(3);
    std::vector<std::byte> room(size_t{64} * 2);
    ReadAhead ahead(room, 64, Numbers(10));
    _exit(PartsInOrder(ahead) == 10 ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

}  // namespace
}  // namespace baton
