#include "keeper/job_port.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <filesystem>

#include "base/file.h"
#include "base/test_dir.h"
#include "keeper/socket_address.h"

namespace baton {
namespace {

using std::chrono::milliseconds;

class JobPortTest : public ::testing::Test {
 protected:
  JobPortTest() {
    auto opened = JobPort::Open(root_ / "port", root_ / "port", 7);
    EXPECT_TRUE(opened) << opened.error().ToString();
    if (opened) port_.emplace(std::move(*opened));
  }
  ~JobPortTest() override { port_.reset(); }
  JobPortTest(const JobPortTest&) = delete;
  JobPortTest& operator=(const JobPortTest&) = delete;

  // A socket of the program's, with that name if any.
  static UniqueFd Client(const std::string& path) {
    UniqueFd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (path.empty()) return socket;
    const auto address = AddressOfSocket(path);
    EXPECT_EQ(bind(socket.get(), reinterpret_cast<const sockaddr*>(&address->address), sizeof(address->address)), 0);
    return socket;
  }
  void Send(const UniqueFd& from, std::string_view word) const {
    const auto address = AddressOfSocket(root_ / "port/socket");
    EXPECT_EQ(sendto(from.get(), word.data(), word.size(), 0, reinterpret_cast<const sockaddr*>(&address->address),
                     sizeof(address->address)),
              static_cast<ssize_t>(word.size()));
  }
  static std::string Received(const UniqueFd& client) {
    std::array<char, 256> bytes{};
    const ssize_t got = recv(client.get(), bytes.data(), bytes.size(), 0);
    return got < 0 ? "" : std::string(bytes.data(), static_cast<size_t>(got));
  }
  std::string Content(const std::string& name) const { return ReadFile(root_ / ("port/" + name)).value_or("?"); }

  TestDir root_;
  std::optional<JobPort> port_;
};

TEST_F(JobPortTest, FilesOfOneLengthAndANumberThatIsNeverTheSame) {
  const std::string generation = Content("generation");
  EXPECT_EQ(generation.size(), 53U);
  EXPECT_EQ(generation.substr(0, 20), "7                  \n");
  EXPECT_EQ(Content("status"), "running 0 7\n");
  port_.reset();
  EXPECT_FALSE(std::filesystem::exists(root_ / "port"));
  auto next = JobPort::Open(root_ / "port", root_ / "port", 4'000'000'000);
  ASSERT_TRUE(next);
  EXPECT_EQ(Content("generation").size(), generation.size());
  EXPECT_NE(Content("generation").substr(20), generation.substr(20));
}

TEST_F(JobPortTest, RequestsAndAnswers) {
  const UniqueFd client = Client(root_ / "port/c1");
  const UniqueFd elsewhere = Client(root_ / "c2");
  const UniqueFd nameless = Client("");
  Send(client, "checkpoint\n");
  Send(elsewhere, "one");
  Send(nameless, "two");
  const auto requests = port_->TakeRequests();
  ASSERT_EQ(requests.size(), 3U);
  EXPECT_EQ(requests[0].word, "checkpoint");
  EXPECT_EQ(requests[0].client, "c1");
  EXPECT_EQ(requests[1].client, "");
  EXPECT_EQ(requests[2].client, "");
  EXPECT_TRUE(port_->Answer("c1", port_->StatusText("saved", 3)));
  EXPECT_EQ(Received(client), "saved 3 7");
  EXPECT_TRUE(port_->TakeRequests().empty());
}

TEST_F(JobPortTest, AnswersGoNowhereElse) {
  const UniqueFd other = Client(root_ / "c2");
  const std::string port = root_ / "port/";
  ASSERT_EQ(symlink((root_ / "c2").c_str(), (port + "link").c_str()), 0);
  ASSERT_EQ(mkfifo((port + "fifo").c_str(), 0600), 0);
  for (const char* client : {"link", "fifo", "lock", "gone", "../c2", ""}) EXPECT_FALSE(port_->Answer(client, "x"));
  EXPECT_EQ(Received(other), "");
}

TEST_F(JobPortTest, StatusIsWrittenThroughNoLink) {
  ASSERT_TRUE(WriteFile(root_ / "precious", "kept"));
  ASSERT_EQ(symlink((root_ / "precious").c_str(), (root_ / "port/.status").c_str()), 0);
  EXPECT_TRUE(port_->SetStatus("saved", 2));
  EXPECT_EQ(Content("status"), "saved 2 7\n");
  EXPECT_EQ(ReadFile(root_ / "precious").value_or("?"), "kept");
}

TEST_F(JobPortTest, CriticalSections) {
  const auto lock = OpenFile(root_ / "port/lock", O_RDWR);
  ASSERT_TRUE(lock);
  ASSERT_EQ(flock(lock->get(), LOCK_SH), 0);
  const auto refused = port_->EnterSection(milliseconds(20));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), ErrorCode::kUnavailable);
  ASSERT_EQ(flock(lock->get(), LOCK_UN), 0);
  ASSERT_TRUE(port_->EnterSection(milliseconds(0)));
  EXPECT_NE(flock(lock->get(), LOCK_SH | LOCK_NB), 0) << "it is kept out";
  port_->LeaveSection();
  EXPECT_EQ(flock(lock->get(), LOCK_SH | LOCK_NB), 0);
}

TEST(JobEnvironment, LeadsToItsOwnPort) {
  pb::JobSpec spec;
  for (const char* entry : {"A=1", "BATON_SOCKET=/outer/socket", "BATON_STATE_DIR=/s"}) spec.add_env(entry);
  EXPECT_EQ(JobEnvironment(spec), (std::vector<std::string>{"A=1", "BATON_STATE_DIR=/s"}));
  spec.set_port("/p");
  EXPECT_EQ(JobEnvironment(spec), (std::vector<std::string>{"A=1", "BATON_STATE_DIR=/s", "BATON_SOCKET=/p/socket",
                                                            "BATON_GENERATION_FILE=/p/generation",
                                                            "BATON_STATUS_FILE=/p/status", "BATON_LOCK_FILE=/p/lock"}));
}

}  // namespace
}  // namespace baton
