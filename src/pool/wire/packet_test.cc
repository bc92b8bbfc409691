#include "pool/wire/packet.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <array>
#include <cstdlib>
#include <string>

#include "base/test_dir.h"

namespace baton {
namespace {

class KeeperSocket : public testing::Test {
 protected:
  void SetUp() override { path_ = directory_ / "keepers.sock"; }

  static void AwaitReadable(int fd) {
    pollfd waiting{.fd = fd, .events = POLLIN, .revents = 0};
    ASSERT_EQ(poll(&waiting, 1, 10'000), 1);
  }
  static pb::FromKeeper Hello() {
    pb::FromKeeper message;
    message.mutable_hello()->mutable_unit()->set_job(7);
    return message;
  }

  TestDir directory_;
  std::string path_;
};

TEST_F(KeeperSocket, PacketsGoBothWaysAndNeitherSideWaits) {
  const auto listener = ListenForKeepers(path_, geteuid());
  ASSERT_TRUE(listener) << listener.error().ToString();
  EXPECT_FALSE(*AcceptKeeper(listener->get(), geteuid())) << "nobody is there";
  const auto keeper = ConnectToWorker(path_);
  ASSERT_TRUE(keeper) << keeper.error().ToString();
  const auto worker = AcceptKeeper(listener->get(), geteuid());
  ASSERT_TRUE(worker && *worker);
  EXPECT_FALSE(*ReceiveFromKeeper((*worker)->get())) << "nothing has come";
  ASSERT_TRUE(SendPacket(keeper->get(), Hello()));
  AwaitReadable((*worker)->get());
  const auto hello = ReceiveFromKeeper((*worker)->get());
  ASSERT_TRUE(hello && *hello);
  EXPECT_EQ((*hello)->hello().unit().job(), 7U);
  pb::ToKeeper heard;
  heard.mutable_heard();
  ASSERT_TRUE(SendPacket((*worker)->get(), heard));
  AwaitReadable(keeper->get());
  EXPECT_TRUE((*ReceiveToKeeper(keeper->get()))->has_heard());
}

TEST_F(KeeperSocket, IsItsOwnersOnlyAndReplacesAnOldOne) {
  ASSERT_TRUE(ListenForKeepers(path_, geteuid()));
  const auto again = ListenForKeepers(path_, geteuid());
  ASSERT_TRUE(again) << again.error().ToString();
  struct stat status{};
  ASSERT_EQ(stat(path_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600U);
}

TEST_F(KeeperSocket, WithoutAWorkerThatIsSaid) {
  EXPECT_EQ(ConnectToWorker(path_).error().code(), ErrorCode::kUnavailable);
  {
    ASSERT_TRUE(ListenForKeepers(path_, geteuid()));
  }
  EXPECT_EQ(ConnectToWorker(path_).error().code(), ErrorCode::kUnavailable) << "the worker died";
  EXPECT_EQ(ConnectToWorker(std::string(200, 'x')).error().code(), ErrorCode::kInvalidArgument);
}

class KeeperPair : public testing::Test {
 protected:
  void SetUp() override {
    std::array<int, 2> ends{};
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends.data()), 0);
    here_.emplace(ends[0]);
    there_.emplace(ends[1]);
  }
  std::optional<UniqueFd> here_, there_;
};

TEST_F(KeeperPair, AHangUpIsUnavailable) {
  there_.reset();
  EXPECT_EQ(ReceiveToKeeper(here_->get()).error().code(), ErrorCode::kUnavailable);
  EXPECT_EQ(SendPacket(here_->get(), pb::FromKeeper()).error().code(), ErrorCode::kUnavailable);
}

TEST_F(KeeperPair, AWorkerThatDoesNotReadHoldsNobodyUp) {
  Result<> sent;
  for (int i = 0; i < 100'000 && sent; ++i) sent = SendPacket(here_->get(), pb::FromKeeper());
  ASSERT_FALSE(sent);
  EXPECT_EQ(sent.error().code(), ErrorCode::kUnavailable);
}

TEST_F(KeeperPair, GarbageAndOtherVersionsAreRefused) {
  ASSERT_EQ(send(there_->get(), "\xff\xff\xff", 3, 0), 3);
  EXPECT_EQ(ReceiveToKeeper(here_->get()).error().code(), ErrorCode::kCorrupt);
  pb::ToKeeper newer;
  newer.set_version(2);
  const std::string bytes = newer.SerializeAsString();
  ASSERT_EQ(send(there_->get(), bytes.data(), bytes.size(), 0), static_cast<ssize_t>(bytes.size()));
  EXPECT_EQ(ReceiveToKeeper(here_->get()).error().code(), ErrorCode::kNotSupported);
}

}  // namespace
}  // namespace baton
