#include "resource/tcp_socket/tcp_socket.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <optional>

#include "base/file.h"
#include "resource/common/inet_address.h"
#include "resource/common/kind_test_util.h"
#include "resource/tcp_socket/flight.h"
#include "resource/tcp_socket/tcp_socket.pb.h"

namespace baton {
namespace {

using Payload = pb::TcpSocketPayload;

UniqueFd MakeSocket(int type = SOCK_STREAM) { return UniqueFd(socket(AF_INET, type | SOCK_CLOEXEC, 0)); }

std::string Address(uint32_t host, uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(host);
  return {reinterpret_cast<const char*>(&address), sizeof address};
}

struct Connection {
  UniqueFd server = MakeSocket();
  UniqueFd client = MakeSocket();
  std::optional<UniqueFd> accepted;

  Connection() {
    EXPECT_TRUE(BindTo(server.get(), Address(INADDR_LOOPBACK, 0)));
    EXPECT_EQ(listen(server.get(), 5), 0);
    EXPECT_TRUE(ConnectTo(client.get(), LocalInetAddress(server.get())));
    accepted.emplace(accept4(server.get(), nullptr, nullptr, SOCK_CLOEXEC));
  }
};

Payload Valid() {
  Payload message;
  message.set_domain(AF_INET);
  message.set_state(Payload::CONNECTED);
  message.set_peer(2);
  message.set_local(Address(INADDR_LOOPBACK, 1));
  message.set_remote(Address(INADDR_LOOPBACK, 2));
  return message;
}

class TcpSocketTest : public testing::Test {
 protected:
  void AddToUnit(const Connection& connection) {
    capture_.unit = {FactsOfOwn(connection.server.get(), 1), FactsOfOwn(connection.client.get(), 2),
                     FactsOfOwn(connection.accepted->get(), 3)};
  }
  Payload Captured(size_t index) {
    const auto payload = kind_->Capture(capture_.unit[index], capture_);
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

  std::unique_ptr<ResourceKind> kind_ = MakeTcpSocketKind();
  FakeCapture capture_;
};

TEST_F(TcpSocketTest, ClaimsTcpOnly) {
  const UniqueFd tcp = MakeSocket();
  const UniqueFd udp = MakeSocket(SOCK_DGRAM);
  EXPECT_TRUE(kind_->Claims(FactsOfOwn(tcp.get())));
  EXPECT_FALSE(kind_->Claims(FactsOfOwn(udp.get())));
}

TEST_F(TcpSocketTest, AConnectionKnowsItsPeerAndItsBytes) {
  const Connection connection;
  ASSERT_TRUE(WriteAll(connection.client.get(), "some bytes"));
  AddToUnit(connection);
  EXPECT_EQ(Captured(0).state(), Payload::LISTENING);
  EXPECT_EQ(Captured(0).backlog(), 5U);
  const Payload client = Captured(1);
  const Payload accepted = Captured(2);
  EXPECT_EQ(client.state(), Payload::CONNECTED);
  EXPECT_EQ(client.peer(), 3U);
  EXPECT_EQ(accepted.peer(), 2U);
  EXPECT_TRUE(client.content().empty());
  EXPECT_EQ(accepted.content(), "some bytes");
}

// What does not fit into the receiver's window is seen as well, and still is read by the program afterwards.
TEST_F(TcpSocketTest, SeesWhatWaitsInTheSender) {
  const Connection connection;
  std::string sent;
  const std::string block(10000, 'x');
  while (true) {
    const ssize_t put = send(connection.client.get(), block.data(), block.size(), MSG_DONTWAIT);
    if (put <= 0) break;
    sent.append(block, 0, static_cast<size_t>(put));
  }
  ASSERT_GT(sent.size(), 200000U);
  const auto seen = PeekTcpBytes(connection.accepted->get(), connection.client.get());
  ASSERT_TRUE(seen);
  EXPECT_EQ(seen->size(), sent.size());
  EXPECT_EQ(*seen, sent);
  std::string read(sent.size(), '\0');
  ASSERT_TRUE(ReadExactly(connection.accepted->get(), std::as_writable_bytes(std::span(read))));
  EXPECT_EQ(read, sent);
  int low_water = 0;
  socklen_t length = sizeof low_water;
  getsockopt(connection.accepted->get(), SOL_SOCKET, SO_RCVLOWAT, &low_water, &length);
  EXPECT_EQ(low_water, 1);
}

TEST_F(TcpSocketTest, NeverConnectedAndNoLongerConnectedAreNotTheSame) {
  const UniqueFd fresh = MakeSocket();
  capture_.unit = {FactsOfOwn(fresh.get(), 1)};
  EXPECT_EQ(Captured(0).state(), Payload::UNCONNECTED);
  Connection connection;
  shutdown(connection.client.get(), SHUT_WR);
  shutdown(connection.accepted->get(), SHUT_WR);
  pollfd asked{.fd = connection.client.get(), .events = 0, .revents = 0};
  ASSERT_EQ(poll(&asked, 1, 5000), 1);  // POLLHUP: both ends have been heard
  FakeCapture later;
  later.unit = {FactsOfOwn(connection.client.get(), 1)};
  const auto payload = kind_->Capture(later.unit[0], later);
  Payload message;
  ASSERT_TRUE(payload && message.ParseFromString(*payload));
  EXPECT_EQ(message.state(), Payload::PEER_GONE);
  EXPECT_EQ(message.end(), Payload::OVER);
}

TEST_F(TcpSocketTest, RefusesAnEndOutsideTheUnit) {
  const Connection connection;
  capture_.unit = {FactsOfOwn(connection.client.get(), 1)};
  const auto checked = kind_->Check(capture_.unit[0], capture_);
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().code(), ErrorCode::kNotSupported);
  EXPECT_NE(checked.error().ToString().find(fmt::format("process {}", getpid())), std::string::npos);
}

TEST_F(TcpSocketTest, SavesAnEndOutsideTheUnitAsResetIfAsked) {
  const Connection connection;
  ASSERT_EQ(send(connection.accepted->get(), "unread", 6, 0), 6);
  pollfd asked{.fd = connection.client.get(), .events = POLLIN, .revents = 0};
  ASSERT_EQ(poll(&asked, 1, 5000), 1);
  capture_.reset_tcp_outside = true;
  capture_.unit = {FactsOfOwn(connection.client.get(), 1)};
  const Payload message = Captured(0);
  EXPECT_EQ(message.state(), Payload::PEER_GONE);
  EXPECT_EQ(message.end(), Payload::RESET);
  EXPECT_EQ(message.content(), "unread");
  // The living connection is as before.
  EXPECT_EQ(send(connection.client.get(), "on", 2, MSG_NOSIGNAL), 2);
}

TEST_F(TcpSocketTest, RefusesHostilePayloads) {
  EXPECT_EQ(With([](auto&) {}), ErrorCode::kInternal);  // described without an error
  EXPECT_EQ(With([](auto& m) { m.set_domain(AF_UNIX); }), ErrorCode::kCorrupt);
  EXPECT_EQ(With([](auto& m) { m.set_domain(AF_INET6); }), ErrorCode::kCorrupt);
  EXPECT_EQ(With([](auto& m) { m.set_flags(O_APPEND); }), ErrorCode::kCorrupt);
  EXPECT_EQ(With([](auto& m) { m.set_peer(0); }), ErrorCode::kCorrupt);
  EXPECT_EQ(With([](auto& m) { m.clear_local(); }), ErrorCode::kCorrupt);
  EXPECT_EQ(With([](auto& m) { m.set_remote("x"); }), ErrorCode::kCorrupt);
  EXPECT_EQ(With([](auto& m) { m.set_state(Payload::UNCONNECTED); }), ErrorCode::kCorrupt);
  EXPECT_EQ(With([](auto& m) { m.set_state(static_cast<Payload::State>(9)); }), ErrorCode::kCorrupt);
  EXPECT_EQ(With([](auto& m) { m.set_state(Payload::WAITING), m.set_content("x"); }), ErrorCode::kCorrupt);
  EXPECT_EQ(With([](auto& m) { m.set_shutdown(4); }), ErrorCode::kCorrupt);
  EXPECT_EQ(With([](auto& m) { m.set_end(static_cast<Payload::End>(3)); }), ErrorCode::kCorrupt);
  EXPECT_EQ(With([](auto& m) { m.mutable_owner()->set_id(4); }), ErrorCode::kCorrupt);
  const auto garbage = kind_->Describe("\xff\xff\xff");
  ASSERT_FALSE(garbage);
  EXPECT_EQ(garbage.error().code(), ErrorCode::kCorrupt);
}

TEST_F(TcpSocketTest, DescribesItself) {
  Payload message = Valid();
  message.set_content("xy");
  EXPECT_EQ(*kind_->Describe(message.SerializeAsString()),
            "TCP socket 127.0.0.1:1, connected to 127.0.0.1:2 (open file 2), 2 bytes in it");
}

}  // namespace
}  // namespace baton
