#include "resource/unix_socket/unix_socket.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstring>

#include "base/file.h"
#include "resource/common/kind_test_util.h"
#include "resource/unix_socket/queue.h"
#include "resource/unix_socket/unix_socket.pb.h"

namespace baton {
namespace {

using Payload = pb::UnixSocketPayload;

struct Pair {
  UniqueFd a;
  UniqueFd b;
};

Pair MakePair(int type) {
  std::array<int, 2> ends{};
  EXPECT_EQ(socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends.data()), 0);
  return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}

void Send(const UniqueFd& to, std::string_view text, int with = -1) {
  iovec io{const_cast<char*>(text.data()), text.size()};
  alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(sizeof(int))> control{};
  msghdr header{};
  header.msg_iov = &io;
  header.msg_iovlen = 1;
  if (with >= 0) {
    header.msg_control = control.data();
    header.msg_controllen = control.size();
    cmsghdr* const rights = CMSG_FIRSTHDR(&header);
    rights->cmsg_len = CMSG_LEN(sizeof with);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    std::memcpy(CMSG_DATA(rights), &with, sizeof with);
  }
  EXPECT_EQ(sendmsg(to.get(), &header, 0), static_cast<ssize_t>(text.size()));
}

Payload Valid() {
  Payload message;
  message.set_type(SOCK_STREAM);
  message.set_state(Payload::CONNECTED);
  message.set_peer(2);
  return message;
}

class UnixSocketTest : public testing::Test {
 protected:
  void AddToUnit(const Pair& pair) {
    capture_.unit.push_back(FactsOfOwn(pair.a.get(), 1));
    capture_.unit.push_back(FactsOfOwn(pair.b.get(), 2));
  }
  Payload Captured(size_t index) {
    const auto payload = kind_->Capture(capture_.unit[index], capture_);
    Payload message;
    EXPECT_TRUE(payload && message.ParseFromString(*payload)) << payload.error().ToString();
    EXPECT_TRUE(kind_->Describe(*payload));
    return message;
  }
  ErrorCode CodeOf(const Payload& message) {
    const auto described = kind_->Describe(message.SerializeAsString());
    return described ? ErrorCode::kInternal : described.error().code();
  }
  template <typename Change>
  ErrorCode With(Change change) {
    Payload message = Valid();
    change(message);
    return CodeOf(message);
  }

  std::unique_ptr<ResourceKind> kind_ = MakeUnixSocketKind();
  FakeCapture capture_;
};

TEST_F(UnixSocketTest, ClaimsUnixSocketsOnly) {
  const Pair pair = MakePair(SOCK_STREAM);
  AddToUnit(pair);
  EXPECT_TRUE(kind_->Claims(capture_.unit[0]));
  const UniqueFd udp(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  EXPECT_FALSE(kind_->Claims(FactsOfOwn(udp.get())));
}

TEST_F(UnixSocketTest, AConnectionKnowsItsPeerAndItsBytes) {
  const Pair pair = MakePair(SOCK_STREAM);
  Send(pair.a, "some bytes");
  AddToUnit(pair);
  const Payload a = Captured(0);
  const Payload b = Captured(1);
  EXPECT_EQ(a.state(), Payload::CONNECTED);
  EXPECT_EQ(a.peer(), 2U);
  EXPECT_EQ(b.peer(), 1U);
  EXPECT_TRUE(a.messages().empty());
  ASSERT_EQ(b.messages_size(), 1);
  EXPECT_EQ(b.messages(0).content(), "some bytes");
  EXPECT_EQ(b.peer_credentials().pid(), getpid());
}

TEST_F(UnixSocketTest, LookingLeavesTheQueueAsItIs) {
  const Pair pair = MakePair(SOCK_SEQPACKET);
  Send(pair.a, "one");
  Send(pair.a, "three");
  AddToUnit(pair);
  EXPECT_EQ(Captured(1).messages_size(), 2);
  std::array<char, 10> buffer{};
  EXPECT_EQ(recv(pair.b.get(), buffer.data(), buffer.size(), MSG_PEEK), 3);
  EXPECT_EQ(recv(pair.b.get(), buffer.data(), buffer.size(), 0), 3);
  EXPECT_EQ(recv(pair.b.get(), buffer.data(), buffer.size(), 0), 5);
}

TEST_F(UnixSocketTest, DescriptorsStayWithTheWriteThatSentThem) {
  const Pair pair = MakePair(SOCK_STREAM);
  const auto null = OpenFile("/dev/null", O_RDWR);
  ASSERT_TRUE(null);
  Send(pair.a, "plain");
  Send(pair.a, "with", null->get());
  Send(pair.a, "rest");
  const auto queue = PeekUnixQueue(pair.b.get(), SOCK_STREAM);
  ASSERT_TRUE(queue);
  ASSERT_EQ(queue->size(), 3U);
  EXPECT_EQ((*queue)[0].content, "plain");
  EXPECT_TRUE((*queue)[0].files.empty());
  EXPECT_EQ((*queue)[1].content, "with");
  EXPECT_EQ((*queue)[1].files.size(), 1U);
  EXPECT_EQ((*queue)[2].content, "rest");
  EXPECT_TRUE((*queue)[2].files.empty());
}

TEST_F(UnixSocketTest, WhatIsOnItsWayIsCarried) {
  const Pair pair = MakePair(SOCK_DGRAM);
  const auto null = OpenFile("/dev/null", O_RDWR);
  ASSERT_TRUE(null);
  Send(pair.a, "x", null->get());
  AddToUnit(pair);
  const auto carried = kind_->Carried(capture_.unit[1], capture_);
  ASSERT_TRUE(carried);
  ASSERT_EQ(carried->size(), 1U);
  capture_.unit.push_back(FactsOfOwn(carried->front().get(), 3));
  const Payload message = Captured(1);
  ASSERT_EQ(message.messages_size(), 1);
  ASSERT_EQ(message.messages(0).files_size(), 1);
  EXPECT_EQ(message.messages(0).files(0), 3U);
}

TEST_F(UnixSocketTest, AClosedEndIsNoted) {
  Pair pair = MakePair(SOCK_STREAM);
  Send(pair.a, "last");
  {
    const UniqueFd closed = std::move(pair.a);
  }
  capture_.unit = {FactsOfOwn(pair.b.get())};
  const Payload message = Captured(0);
  EXPECT_EQ(message.state(), Payload::PEER_GONE);
  EXPECT_EQ(message.shutdown(), 3U);
  EXPECT_FALSE(message.reset());
}

TEST_F(UnixSocketTest, RefusesAnEndOutsideTheUnit) {
  const Pair pair = MakePair(SOCK_STREAM);
  capture_.unit = {FactsOfOwn(pair.a.get())};
  const auto checked = kind_->Check(capture_.unit[0], capture_);
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().code(), ErrorCode::kNotSupported);
  EXPECT_NE(checked.error().ToString().find(fmt::format("process {}", getpid())), std::string::npos);
}

TEST_F(UnixSocketTest, RefusesHostilePayloads) {
  EXPECT_EQ(CodeOf(Valid()), ErrorCode::kInternal);  // described without an error
  EXPECT_EQ(With([](auto& m) { m.set_type(SOCK_RAW); }), ErrorCode::kCorrupt);
  EXPECT_EQ(With([](auto& m) { m.set_flags(O_APPEND); }), ErrorCode::kCorrupt);
  EXPECT_EQ(With([](auto& m) { m.set_peer(0); }), ErrorCode::kCorrupt);
  EXPECT_EQ(With([](auto& m) { m.set_state(Payload::LISTENING); }), ErrorCode::kCorrupt);
  EXPECT_EQ(With([](auto& m) { m.set_state(Payload::OUTSIDE); }), ErrorCode::kCorrupt);
  EXPECT_EQ(With([](auto& m) { m.set_state(static_cast<Payload::State>(17)); }), ErrorCode::kCorrupt);
  EXPECT_EQ(With([](auto& m) { m.set_shutdown(4); }), ErrorCode::kCorrupt);
  EXPECT_EQ(With([](auto& m) { m.set_user(-1); }), ErrorCode::kCorrupt);
  EXPECT_EQ(With([](auto& m) { m.set_backlog(1U << 31); }), ErrorCode::kCorrupt);
  EXPECT_EQ(With([](auto& m) { m.add_messages(); }), ErrorCode::kCorrupt);  // nothing in a stream
  EXPECT_EQ(With([](auto& m) { m.mutable_name()->set_name(std::string(109, 'x')); }), ErrorCode::kCorrupt);
  EXPECT_EQ(With([](auto& m) { m.mutable_name()->set_name("relative"), m.mutable_name()->set_present(true); }),
            ErrorCode::kCorrupt);
  EXPECT_EQ(With([](auto& m) { m.mutable_owner()->set_id(4); }), ErrorCode::kCorrupt);
  const auto garbage = kind_->Describe("\xff\xff\xff");
  ASSERT_FALSE(garbage);
  EXPECT_EQ(garbage.error().code(), ErrorCode::kCorrupt);
}

TEST_F(UnixSocketTest, RefusesOptionsThatNobodyKnows) {
  const auto with = [&](int level, int name, size_t bytes) {
    return With([&](auto& m) {
      auto* option = m.mutable_options()->add_options();
      option->set_level(level);
      option->set_name(name);
      option->set_value(std::string(bytes, '\0'));
    });
  };
  EXPECT_EQ(with(SOL_SOCKET, SO_REUSEADDR, 4), ErrorCode::kInternal);  // described without an error
  EXPECT_EQ(with(SOL_SOCKET, SO_REUSEADDR, 5), ErrorCode::kCorrupt);
  EXPECT_EQ(with(SOL_SOCKET, SO_ATTACH_FILTER, 4), ErrorCode::kCorrupt);
  EXPECT_EQ(with(6, 19, 4), ErrorCode::kCorrupt);  // TCP_REPAIR
  EXPECT_EQ(With([](auto& m) { m.mutable_options()->set_filter("1234567"); }), ErrorCode::kCorrupt);
}

TEST_F(UnixSocketTest, DescribesItself) {
  Payload message = Valid();
  message.mutable_name()->set_name(std::string("\0name", 5));
  message.add_messages()->set_content("x");
  EXPECT_EQ(*kind_->Describe(message.SerializeAsString()),
            "UNIX stream socket @name, connected to 2, 1 messages in it");
}

}  // namespace
}  // namespace baton
