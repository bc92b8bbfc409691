#include "rpc/endpoint.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "base/file.h"
#include "base/test_dir.h"

namespace baton {
namespace {

class Endpoints : public testing::Test {
 protected:
  static unsigned ModeOf(const std::string& path) {
    struct stat status{};
    return stat(path.c_str(), &status) == 0 ? status.st_mode & 0777 : 0;
  }

  TestDir directory_;
};

TEST_F(Endpoints, ThisMachineOnly) {
  for (const char* text : {"unix:/run/baton/pool.sock", "127.0.0.1:7070", "[::1]:7070"}) {
    const auto endpoint = Endpoint::Parse(text);
    ASSERT_TRUE(endpoint) << text;
    EXPECT_EQ(endpoint->ToString(), text);
  }
  for (const char* text : {"0.0.0.0:7070", "192.168.1.4:7070", "[::]:7070", "::1:7070", "localhost:7070",
                           "pool.lab:7070", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:99999", "127.0.0.2:1",
                           "", "unix:", "unix:relative", "tcp://127.0.0.1:1"}) {
    const auto endpoint = Endpoint::Parse(text);
    ASSERT_FALSE(endpoint) << text;
    EXPECT_EQ(endpoint.error().code(), ErrorCode::kInvalidArgument) << text;
  }
  EXPECT_FALSE(Endpoint::Parse("unix:/" + std::string(200, 'x')));
}

TEST_F(Endpoints, ASocketIsItsOwnersOnly) {
  Endpoint endpoint = *Endpoint::Parse("unix:" + directory_ / "pool.sock");
  EXPECT_EQ(endpoint.Connect().error().code(), ErrorCode::kUnavailable);
  {
    const auto listener = Endpoint::Listen(&endpoint);
    ASSERT_TRUE(listener) << listener.error().ToString();
    EXPECT_EQ(ModeOf(endpoint.path()), 0600U);
    const auto client = endpoint.Connect();
    ASSERT_TRUE(client);
    EXPECT_EQ(PeerUser(client->get()), geteuid());
    EXPECT_EQ(Endpoint::Listen(&endpoint).error().code(), ErrorCode::kConflict) << "another one listens";
  }
  EXPECT_TRUE(Endpoint::Listen(&endpoint)) << "what a dead one left is replaced";
}

TEST_F(Endpoints, LoopbackFindsAFreePort) {
  Endpoint endpoint = *Endpoint::Parse("127.0.0.1:0");
  const auto listener = Endpoint::Listen(&endpoint);
  ASSERT_TRUE(listener) << listener.error().ToString();
  EXPECT_NE(endpoint.port(), 0);
  const auto client = endpoint.Connect();
  ASSERT_TRUE(client) << client.error().ToString();
  EXPECT_FALSE(PeerUser(client->get()));
}

TEST_F(Endpoints, NobodyAtAPortIsSaid) {
  Endpoint endpoint = *Endpoint::Parse("127.0.0.1:0");
  {
    ASSERT_TRUE(Endpoint::Listen(&endpoint));
  }
  EXPECT_EQ(endpoint.Connect().error().code(), ErrorCode::kUnavailable);
}

TEST_F(Endpoints, TokensAreRandomAndTheirOwnersOnly) {
  const std::string path = directory_ / "token";
  EXPECT_EQ(ReadToken(path).error().code(), ErrorCode::kNotFound);
  const auto token = MakeToken(path);
  ASSERT_TRUE(token) << token.error().ToString();
  EXPECT_EQ(token->size(), 64U);
  EXPECT_EQ(ModeOf(path), 0600U);
  EXPECT_EQ(*MakeToken(path), *token) << "the one that is there";
  EXPECT_EQ(*ReadToken(path), *token);
  EXPECT_NE(*MakeToken(directory_ / "other"), *token);
}

TEST_F(Endpoints, ATokenThatOthersCanReadIsRefused) {
  const std::string path = directory_ / "token";
  ASSERT_TRUE(MakeToken(path));
  ASSERT_EQ(chmod(path.c_str(), 0640), 0);
  const auto token = ReadToken(path);
  ASSERT_FALSE(token);
  EXPECT_EQ(token.error().code(), ErrorCode::kInvalidArgument);
  EXPECT_EQ(token.error().ToString().find("chmod 600") == std::string::npos, false);
  EXPECT_FALSE(MakeToken(path)) << "nor is it replaced";
}

TEST_F(Endpoints, AShortTokenIsNone) {
  const std::string path = directory_ / "token";
  ASSERT_TRUE(WriteFile(path, "short\n", 0600));
  EXPECT_EQ(ReadToken(path).error().code(), ErrorCode::kCorrupt);
}

}  // namespace
}  // namespace baton
