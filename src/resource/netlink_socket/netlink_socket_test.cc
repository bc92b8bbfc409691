#include "resource/netlink_socket/netlink_socket.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>
#include <unistd.h>

#include "resource/common/kind_test_util.h"
#include "resource/netlink_socket/netlink_socket.pb.h"

namespace baton {
namespace {

using Payload = pb::NetlinkSocketPayload;

UniqueFd MakeSocket(uint32_t groups = 0) {
  UniqueFd made(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  const sockaddr_nl address{.nl_family = AF_NETLINK, .nl_pad = 0, .nl_pid = 0, .nl_groups = groups};
  EXPECT_EQ(bind(made.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  return made;
}

class NetlinkSocketTest : public testing::Test {
 protected:
  template <typename Change>
  ErrorCode With(Change change) {
    Payload message;
    message.set_type(SOCK_RAW);
    change(message);
    const auto described = kind_->Describe(message.SerializeAsString());
    return described ? ErrorCode::kInternal : described.error().code();
  }
  std::unique_ptr<ResourceKind> kind_ = MakeNetlinkSocketKind();
  FakeCapture capture_;
};

TEST_F(NetlinkSocketTest, KnowsPortAndGroups) {
  const UniqueFd socket = MakeSocket(RTMGRP_LINK | RTMGRP_IPV4_ROUTE);
  capture_.unit = {FactsOfOwn(socket.get())};
  ASSERT_TRUE(kind_->Claims(capture_.unit[0]));
  const auto payload = kind_->Capture(capture_.unit[0], capture_);
  Payload message;
  ASSERT_TRUE(payload && message.ParseFromString(*payload));
  EXPECT_NE(message.port(), 0U);
  ASSERT_EQ(message.groups_size(), 2);
  EXPECT_EQ(message.groups(0), static_cast<unsigned>(RTNLGRP_LINK));
  EXPECT_EQ(message.groups(1), static_cast<unsigned>(RTNLGRP_IPV4_ROUTE));
}

TEST_F(NetlinkSocketTest, RefusesWhatTheKernelHasSaid) {
  const UniqueFd socket = MakeSocket();
  struct {
    nlmsghdr header;
    rtgenmsg body;
  } request{};
  request.header.nlmsg_len = NLMSG_LENGTH(sizeof request.body);
  request.header.nlmsg_type = RTM_GETLINK;
  request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  ASSERT_GT(send(socket.get(), &request, request.header.nlmsg_len, 0), 0);
  capture_.unit = {FactsOfOwn(socket.get())};
  const auto checked = kind_->Check(capture_.unit[0], capture_);
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().code(), ErrorCode::kUnavailable);
}

TEST_F(NetlinkSocketTest, RefusesHostilePayloads) {
  EXPECT_EQ(With([](auto&) {}), ErrorCode::kInternal);  // described without an error
  EXPECT_EQ(With([](auto& m) { m.set_type(SOCK_STREAM); }), ErrorCode::kCorrupt);
  EXPECT_EQ(With([](auto& m) { m.set_protocol(1000); }), ErrorCode::kCorrupt);
  EXPECT_EQ(With([](auto& m) { m.set_flags(O_APPEND); }), ErrorCode::kCorrupt);
  EXPECT_EQ(With([](auto& m) { m.add_groups(0); }), ErrorCode::kCorrupt);
  EXPECT_EQ(With([](auto& m) { m.add_groups(1U << 30); }), ErrorCode::kCorrupt);
  EXPECT_EQ(With([](auto& m) { m.mutable_owner()->set_id(4); }), ErrorCode::kCorrupt);
  EXPECT_FALSE(kind_->Describe("\xff\xff\xff"));
}

}  // namespace
}  // namespace baton
