#include "resource/eventfd/eventfd.h"

#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/file.h"
#include "resource/common/kind_test_util.h"
#include "resource/eventfd/eventfd.pb.h"

namespace baton {
namespace {

class EventfdTest : public testing::Test {
 protected:
  std::unique_ptr<ResourceKind> kind_ = MakeEventfdKind();
  FakeCapture capture_;
};

pb::EventfdPayload Captured(const ResourceKind& kind, FakeCapture& capture, const FdFacts& file) {
  auto payload = kind.Capture(file, capture);
  pb::EventfdPayload message;
  EXPECT_TRUE(payload && message.ParseFromString(*payload));
  return message;
}

TEST_F(EventfdTest, ClaimsEventfdsOnly) {
  const UniqueFd fd(eventfd(0, EFD_CLOEXEC));
  EXPECT_TRUE(kind_->Claims(FactsOfOwn(fd.get())));
  EXPECT_FALSE(kind_->Claims(FactsOfOwn(STDIN_FILENO)));
}

TEST_F(EventfdTest, CapturesCounterAndFlagsAndLeavesTheCounter) {
  const UniqueFd fd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  const uint64_t big = uint64_t{1} << 40;
  ASSERT_TRUE(WriteAll(fd.get(), std::as_bytes(std::span(&big, 1))));
  const auto message = Captured(*kind_, capture_, FactsOfOwn(fd.get()));
  EXPECT_EQ(message.count(), big);
  EXPECT_TRUE(message.nonblocking());
  EXPECT_FALSE(message.semaphore());
  uint64_t value = 0;
  ASSERT_EQ(read(fd.get(), &value, sizeof value), 8);
  EXPECT_EQ(value, big);
}

TEST_F(EventfdTest, FindsASemaphoreWithAndWithoutTheKernelsWord) {
  const UniqueFd fd(eventfd(3, EFD_CLOEXEC | EFD_SEMAPHORE));
  FdFacts facts = FactsOfOwn(fd.get());
  EXPECT_TRUE(Captured(*kind_, capture_, facts).semaphore());
  std::erase_if(facts.info.fields, [](const FdInfo::Field& field) { return field.first == "eventfd-semaphore"; });
  EXPECT_TRUE(Captured(*kind_, capture_, facts).semaphore());
}

TEST_F(EventfdTest, LookingForASemaphoreLeavesTheCounter) {
  for (const int flags : {0, static_cast<int>(EFD_SEMAPHORE)}) {
    for (const unsigned count : {0U, 1U, 2U, 7U}) {
      const UniqueFd fd(eventfd(count, EFD_CLOEXEC | EFD_NONBLOCK | flags));
      const auto semaphore = IsSemaphoreEventfd(fd.get(), count);
      ASSERT_TRUE(semaphore) << semaphore.error().ToString();
      EXPECT_EQ(*semaphore, flags != 0);
      EXPECT_EQ(*FactsOfOwn(fd.get()).info.Find("eventfd-count"), fmt::format("{:x}", count));
    }
  }
}

TEST_F(EventfdTest, RefusesAnOverflowedCounter) {
  const UniqueFd fd(eventfd(0, EFD_CLOEXEC));
  FdFacts facts = FactsOfOwn(fd.get());
  EXPECT_TRUE(kind_->Check(facts, capture_));
  for (auto& [key, value] : facts.info.fields) {
    if (key == "eventfd-count") value = "ffffffffffffffff";
  }
  const auto checked = kind_->Check(facts, capture_);
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().code(), ErrorCode::kNotSupported);
}

TEST_F(EventfdTest, RefusesHostilePayloads) {
  pb::EventfdPayload message;
  message.set_count(~uint64_t{0});
  for (const std::string& payload : {message.SerializeAsString(), std::string("\x0a\xff"), std::string("\x08")}) {
    const auto described = kind_->Describe(payload);
    ASSERT_FALSE(described);
    EXPECT_EQ(described.error().code(), ErrorCode::kCorrupt);
  }
}

TEST_F(EventfdTest, DescribesItself) {
  pb::EventfdPayload message;
  message.set_count(5);
  message.set_semaphore(true);
  EXPECT_EQ(*kind_->Describe(message.SerializeAsString()), "eventfd, counter 5, semaphore");
}

}  // namespace
}  // namespace baton
