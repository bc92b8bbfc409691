#include "resource/packet_socket/packet_socket.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sys/socket.h>
#include <unistd.h>

#include "resource/common/kind_test_util.h"
#include "resource/packet_socket/packet_socket.pb.h"

namespace baton {
namespace {

using Payload = pb::PacketSocketPayload;

class PacketSocketTest : public testing::Test {
 protected:
  template <typename Change>
  ErrorCode With(Change change) {
    Payload message;
    message.set_type(SOCK_RAW);
    change(message);
    const auto described = kind_->Describe(message.SerializeAsString());
    return described ? ErrorCode::kInternal : described.error().code();
  }
  std::unique_ptr<ResourceKind> kind_ = MakePacketSocketKind();
  FakeCapture capture_;
};

TEST_F(PacketSocketTest, KnowsInterfaceAndMemberships) {
  const int made = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ARP));
  if (made < 0) GTEST_SKIP() << "packet sockets are for root";
  const UniqueFd socket_fd(made);
  const int lo = static_cast<int>(if_nametoindex("lo"));
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(ETH_P_ARP);
  address.sll_ifindex = lo;
  ASSERT_EQ(bind(made, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  packet_mreq all{};
  all.mr_ifindex = lo;
  all.mr_type = PACKET_MR_ALLMULTI;
  ASSERT_EQ(setsockopt(made, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &all, sizeof all), 0);
  capture_.unit = {FactsOfOwn(made)};
  ASSERT_TRUE(kind_->Claims(capture_.unit[0]));
  const auto payload = kind_->Capture(capture_.unit[0], capture_);
  Payload message;
  ASSERT_TRUE(payload && message.ParseFromString(*payload));
  EXPECT_EQ(message.protocol(), static_cast<unsigned>(ETH_P_ARP));
  EXPECT_EQ(message.interface(), "lo");
  ASSERT_EQ(message.memberships_size(), 1);
  EXPECT_EQ(message.memberships(0).type(), static_cast<unsigned>(PACKET_MR_ALLMULTI));
}

TEST_F(PacketSocketTest, RefusesHostilePayloads) {
  EXPECT_EQ(With([](auto&) {}), ErrorCode::kInternal);  // described without an error
  EXPECT_EQ(With([](auto& m) { m.set_type(SOCK_STREAM); }), ErrorCode::kCorrupt);
  EXPECT_EQ(With([](auto& m) { m.set_protocol(1U << 16); }), ErrorCode::kCorrupt);
  EXPECT_EQ(With([](auto& m) { m.set_flags(O_APPEND); }), ErrorCode::kCorrupt);
  EXPECT_EQ(With([](auto& m) { m.set_interface("more than sixteen bytes"); }), ErrorCode::kCorrupt);
  EXPECT_EQ(With([](auto& m) { m.add_memberships()->set_count(0); }), ErrorCode::kCorrupt);
  EXPECT_EQ(With([](auto& m) { m.add_memberships()->set_address("123456789"); }), ErrorCode::kCorrupt);
  EXPECT_EQ(With([](auto& m) { m.mutable_owner()->set_id(4); }), ErrorCode::kCorrupt);
  EXPECT_FALSE(kind_->Describe("\xff\xff\xff"));
}

}  // namespace
}  // namespace baton
