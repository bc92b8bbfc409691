#include "resource/datagram_socket/datagram_socket.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/file.h"
#include "resource/common/inet_address.h"
#include "resource/common/kind_test_util.h"
#include "resource/datagram_socket/datagram_socket.pb.h"
#include "resource/datagram_socket/multicast.h"

namespace baton {
namespace {

using Payload = pb::DatagramSocketPayload;

std::string Loopback(uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return {reinterpret_cast<const char*>(&address), sizeof address};
}

UniqueFd MakeSocket(int type = SOCK_DGRAM) {
  UniqueFd made(socket(AF_INET, type | SOCK_CLOEXEC, 0));
  EXPECT_TRUE(BindTo(made.get(), Loopback(0)));
  return made;
}

Payload Valid() {
  Payload message;
  message.set_domain(AF_INET);
  message.set_type(SOCK_DGRAM);
  message.set_protocol(IPPROTO_UDP);
  message.set_local(Loopback(1000));
  return message;
}

class DatagramSocketTest : public testing::Test {
 protected:
  Payload Captured(int fd) {
    capture_.unit = {FactsOfOwn(fd, next_++)};
    const auto payload = kind_->Capture(capture_.unit[0], capture_);
    Payload message;
    EXPECT_TRUE(payload && message.ParseFromString(*payload));
    EXPECT_TRUE(kind_->Describe(*payload));
    return message;
  }
  template <typename Change>
  ErrorCode With(Change change) {
    Payload message = Valid();
    change(message);
    const auto described = kind_->Describe(message.SerializeAsString());
    return described ? ErrorCode::kInternal : described.error().code();
  }

  std::unique_ptr<ResourceKind> kind_ = MakeDatagramSocketKind();
  FakeCapture capture_;
  uint32_t next_ = 1;
};

TEST_F(DatagramSocketTest, ClaimsDatagramsOnly) {
  EXPECT_TRUE(kind_->Claims(FactsOfOwn(MakeSocket().get())));
  EXPECT_FALSE(kind_->Claims(FactsOfOwn(MakeSocket(SOCK_STREAM).get())));
}

TEST_F(DatagramSocketTest, SeesTheQueueAndLeavesIt) {
  const UniqueFd receiver = MakeSocket();
  const UniqueFd sender = MakeSocket();
  ASSERT_TRUE(ConnectTo(sender.get(), LocalInetAddress(receiver.get())));
  for (const std::string_view text : {"one", "", "three"}) {
    ASSERT_EQ(send(sender.get(), text.data(), text.size(), 0), static_cast<ssize_t>(text.size()));
  }
  const Payload message = Captured(receiver.get());
  ASSERT_EQ(message.datagrams_size(), 3);
  EXPECT_EQ(message.datagrams(0).content(), "one");
  EXPECT_EQ(message.datagrams(1).content(), "");
  EXPECT_EQ(message.datagrams(2).content(), "three");
  EXPECT_EQ(message.datagrams(0).source(), LocalInetAddress(sender.get()));
  std::array<char, 10> buffer{};
  EXPECT_EQ(recv(receiver.get(), buffer.data(), buffer.size(), MSG_DONTWAIT), 3);
  EXPECT_EQ(recv(receiver.get(), buffer.data(), buffer.size(), MSG_DONTWAIT), 0);
  EXPECT_EQ(recv(receiver.get(), buffer.data(), buffer.size(), MSG_DONTWAIT), 5);
}

TEST_F(DatagramSocketTest, KnowsItsGroups) {
  const UniqueFd socket = MakeSocket();
  EXPECT_EQ(Captured(socket.get()).groups_size(), 0);
  ip_mreqn group{};
  group.imr_ifindex = static_cast<int>(if_nametoindex("lo"));
  group.imr_multiaddr.s_addr = htonl(0xef4d0102);  // 239.77.1.2
  ASSERT_EQ(setsockopt(socket.get(), IPPROTO_IP, IP_ADD_MEMBERSHIP, &group, sizeof group), 0);
  const Payload message = Captured(socket.get());
  ASSERT_EQ(message.groups_size(), 1);
  EXPECT_EQ(message.groups(0).interface(), "lo");
  EXPECT_EQ(ShowInetAddress(message.groups(0).group()), "239.77.1.2:0");
  EXPECT_FALSE(message.groups(0).include());
}

TEST_F(DatagramSocketTest, RefusesHostilePayloads) {
  EXPECT_EQ(With([](auto&) {}), ErrorCode::kInternal);  // described without an error
  EXPECT_EQ(With([](auto& m) { m.set_domain(AF_UNIX); }), ErrorCode::kCorrupt);
  EXPECT_EQ(With([](auto& m) { m.set_type(SOCK_STREAM); }), ErrorCode::kCorrupt);
  EXPECT_EQ(With([](auto& m) { m.set_protocol(256); }), ErrorCode::kCorrupt);
  EXPECT_EQ(With([](auto& m) { m.set_flags(O_APPEND); }), ErrorCode::kCorrupt);
  EXPECT_EQ(With([](auto& m) { m.set_local("x"); }), ErrorCode::kCorrupt);
  EXPECT_EQ(With([](auto& m) { m.set_shutdown(2); }), ErrorCode::kCorrupt);
  EXPECT_EQ(With([](auto& m) { m.add_datagrams()->set_source("x"); }), ErrorCode::kCorrupt);
  EXPECT_EQ(With([](auto& m) { m.add_datagrams()->set_source(Loopback(1)), m.set_type(SOCK_RAW); }),
            ErrorCode::kCorrupt);
  EXPECT_EQ(With([](auto& m) { m.add_groups()->set_group("x"); }), ErrorCode::kCorrupt);
  EXPECT_EQ(With([](auto& m) { m.mutable_owner()->set_id(4); }), ErrorCode::kCorrupt);
  const auto garbage = kind_->Describe("\xff\xff\xff");
  ASSERT_FALSE(garbage);
  EXPECT_EQ(garbage.error().code(), ErrorCode::kCorrupt);
}

TEST(MulticastTest, ParsesGroupsOfInterfaces) {
  const auto groups = ParseIgmp(
      "Idx\tDevice    : Count Querier\tGroup    Users Timer\tReporter\n"
      "1\tlo        :     1      V3\n\t\t\t\t010000E0     1 0:00000000\t\t0\n"
      "2\teth0:     2      V3\n\t\t\t\tFB0000E0     1 0:00000000\t\t0\n\t\t\t\t010000E0     1 0:00000000\t\t0\n");
  ASSERT_TRUE(groups);
  ASSERT_EQ(groups->size(), 3U);
  EXPECT_EQ((*groups)[0].interface_name, "lo");
  EXPECT_EQ(ShowInetAddress((*groups)[0].group), "224.0.0.1:0");
  EXPECT_EQ((*groups)[1].interface, 2U);
  EXPECT_EQ((*groups)[1].interface_name, "eth0");
  EXPECT_EQ(ShowInetAddress((*groups)[1].group), "224.0.0.251:0");
}

TEST(MulticastTest, ParsesGroupsOfInterfacesForV6) {
  const auto groups = ParseIgmp6("1    lo              ff020000000000000000000000000001     1 0000000C 0\n");
  ASSERT_TRUE(groups);
  ASSERT_EQ(groups->size(), 1U);
  EXPECT_EQ((*groups)[0].interface, 1U);
  EXPECT_EQ(ShowInetAddress((*groups)[0].group), "[ff02::1]:0");
}

TEST(MulticastTest, RefusesOtherText) {
  for (const std::string_view text : {"\t\t\t\tXYZ     1 0:00000000", "x lo : 1 V3"}) {
    const auto groups = ParseIgmp(text);
    ASSERT_FALSE(groups);
    EXPECT_EQ(groups.error().code(), ErrorCode::kCorrupt);
  }
  for (const std::string_view text : {"x lo ff02", "1 lo ff02", "1 lo", "1 lo gg020000000000000000000000000001"}) {
    const auto groups = ParseIgmp6(text);
    ASSERT_FALSE(groups);
    EXPECT_EQ(groups.error().code(), ErrorCode::kCorrupt);
  }
}

}  // namespace
}  // namespace baton
