#include "resource/epoll/epoll.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/file.h"
#include "resource/common/kind_test_util.h"
#include "resource/epoll/epoll.pb.h"
#include "resource/epoll/watch.h"

namespace baton {
namespace {

UniqueFd MakeEvent() { return UniqueFd(eventfd(0, EFD_CLOEXEC)); }

class EpollTest : public testing::Test {
 protected:
  void Watch(int fd, uint32_t events, uint64_t data) {
    epoll_event event{.events = events, .data = {.u64 = data}};
    ASSERT_EQ(epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event), 0);
  }
  // The unit: the epoll descriptor and these.
  FdFacts& SetUnit(const std::vector<int>& fds) {
    capture_.unit = {FactsOfOwn(epoll_.get(), 1)};
    for (const int fd : fds) capture_.unit.push_back(FactsOfOwn(fd, static_cast<uint32_t>(capture_.unit.size() + 1)));
    return capture_.unit.front();
  }
  pb::EpollPayload Captured() {
    const auto payload = kind_->Capture(capture_.unit.front(), capture_);
    pb::EpollPayload message;
    EXPECT_TRUE(payload && message.ParseFromString(*payload));
    EXPECT_TRUE(kind_->Describe(*payload));
    return message;
  }
  ErrorCode CodeOf(const pb::EpollWatch& watch) {
    pb::EpollPayload message;
    *message.add_watches() = watch;
    const auto described = kind_->Describe(message.SerializeAsString());
    return described ? ErrorCode::kInternal : described.error().code();
  }

  std::unique_ptr<ResourceKind> kind_ = MakeEpollKind();
  UniqueFd epoll_{epoll_create1(EPOLL_CLOEXEC)};
  FakeCapture capture_;
};

TEST_F(EpollTest, ClaimsEpollOnly) {
  EXPECT_TRUE(kind_->Claims(FactsOfOwn(epoll_.get())));
  EXPECT_FALSE(kind_->Claims(FactsOfOwn(MakeEvent().get())));
}

TEST_F(EpollTest, CapturesEventsFlagsAndData) {
  const UniqueFd event = MakeEvent();
  Watch(event.get(), EPOLLIN | EPOLLET | EPOLLONESHOT, 0x1234567890abcdef);
  const FdFacts& facts = SetUnit({event.get()});
  EXPECT_TRUE(kind_->Check(facts, capture_));
  const auto message = Captured();
  ASSERT_EQ(message.watches_size(), 1);
  EXPECT_EQ(message.watches(0).fd(), event.get());
  EXPECT_EQ(message.watches(0).process_fd(), event.get());
  EXPECT_EQ(message.watches(0).events(), EPOLLIN | EPOLLET | EPOLLONESHOT | EPOLLERR | EPOLLHUP);
  EXPECT_EQ(message.watches(0).data(), 0x1234567890abcdef);
}

TEST_F(EpollTest, FindsAFileWhoseNumberIsAnothersNow) {
  UniqueFd event = MakeEvent();
  Watch(event.get(), EPOLLIN, 1);
  const int number = event.get();
  auto moved = DupFd(number);
  ASSERT_TRUE(moved);
  ASSERT_EQ(dup3(MakeEvent().get(), number, O_CLOEXEC), number);
  Watch(number, EPOLLOUT, 2);  // the same number twice in one epoll
  SetUnit({number, moved->get()});
  const auto message = Captured();
  ASSERT_EQ(message.watches_size(), 2);
  for (const pb::EpollWatch& watch : message.watches()) {
    EXPECT_EQ(watch.fd(), number);
    EXPECT_EQ(watch.process_fd(), watch.data() == 1 ? moved->get() : number);
  }
}

TEST_F(EpollTest, RefusesAFileThatNobodyInTheUnitHas) {
  const UniqueFd event = MakeEvent();
  Watch(event.get(), EPOLLIN, 1);
  const auto checked = kind_->Check(SetUnit({}), capture_);
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().code(), ErrorCode::kNotSupported);
}

TEST_F(EpollTest, ParsesTheKernelsLines) {
  FdInfo info;
  info.fields = {{"tfd", "5 events:       19 data:                5  pos:0 ino:80f sdev:10"},
                 {"tfd", "5 events: 80000019 data: ffffffffffffffff"}};
  const auto watches = ParseWatches(info);
  ASSERT_TRUE(watches);
  ASSERT_EQ(watches->size(), 2U);
  EXPECT_EQ(watches->at(0).inode, 0x80fU);
  EXPECT_EQ(watches->at(1).index, 1U);
  EXPECT_EQ(watches->at(1).data, ~uint64_t{0});
  info.fields = {{"tfd", "5 data: 4"}};
  const auto broken = ParseWatches(info);
  ASSERT_FALSE(broken);
  EXPECT_EQ(broken.error().code(), ErrorCode::kCorrupt);
}

TEST_F(EpollTest, RefusesHostilePayloads) {
  const auto with = [&](int fd, int process, int process_fd) {
    pb::EpollWatch watch;
    watch.set_fd(fd);
    watch.set_process(process);
    watch.set_process_fd(process_fd);
    return CodeOf(watch);
  };
  EXPECT_EQ(with(0, 1, 0), ErrorCode::kInternal);  // described without an error
  EXPECT_EQ(with(-1, 1, 0), ErrorCode::kCorrupt);
  EXPECT_EQ(with(0, 0, 0), ErrorCode::kCorrupt);
  EXPECT_EQ(with(0, 1, -1), ErrorCode::kCorrupt);
  const auto garbage = kind_->Describe("\x0a\x05x");
  ASSERT_FALSE(garbage);
  EXPECT_EQ(garbage.error().code(), ErrorCode::kCorrupt);
}

}  // namespace
}  // namespace baton
