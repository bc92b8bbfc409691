#include "resource/pipe/pipe_content.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <array>
#include <string>

#include "base/file.h"

namespace baton {
namespace {

class PipeContentTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_EQ(pipe2(ends_.data(), O_CLOEXEC | O_NONBLOCK), 0); }
  void TearDown() override {
    for (const int end : ends_) {
      if (end >= 0) close(end);
    }
  }
  void SetPackets(bool on) { ASSERT_EQ(fcntl(ends_[1], F_SETFL, O_NONBLOCK | (on ? O_DIRECT : 0)), 0); }
  void Write(const std::string& text) { ASSERT_TRUE(WriteAll(ends_[1], text)); }
  std::string Peeked(bool last_is_packet = false) {
    auto content = PeekPipe(ends_[0], last_is_packet);
    EXPECT_TRUE(content) << content.error().ToString();
    packets_ = content->packets;
    return {reinterpret_cast<const char*>(content->bytes.data()), content->bytes.size()};
  }

  std::array<int, 2> ends_{-1, -1};
  std::vector<uint32_t> packets_;
};

TEST_F(PipeContentTest, EmptyPipe) { EXPECT_EQ(Peeked(), ""); }

TEST_F(PipeContentTest, LeavesPlainBytesWhereTheyAre) {
  Write("abc");
  Write("def");
  EXPECT_EQ(Peeked(), "abcdef");
  EXPECT_TRUE(packets_.empty());
  int bytes = 0;
  ioctl(ends_[0], FIONREAD, &bytes);
  EXPECT_EQ(bytes, 6);
}

TEST_F(PipeContentTest, FullPipeAndOneByte) {
  const std::string full(65536, 'x');
  Write(full);
  EXPECT_EQ(Peeked(), full);
  std::string taken(65535, ' ');
  ASSERT_EQ(read(ends_[0], taken.data(), taken.size()), 65535);
  EXPECT_EQ(Peeked(), "x");
  EXPECT_TRUE(packets_.empty());
}

TEST_F(PipeContentTest, EveryBufferOfALargePipe) {
  ASSERT_EQ(fcntl(ends_[1], F_SETPIPE_SZ, 1 << 20), 1 << 20);
  const std::string full(1 << 20, 'y');
  Write(full);
  EXPECT_EQ(Peeked(), full);
}

TEST_F(PipeContentTest, Packets) {
  SetPackets(true);
  Write("abc");
  Write("d");
  Write(std::string(4096, 'e'));
  Write("f");
  EXPECT_EQ(Peeked(true).size(), 4101U);
  EXPECT_EQ(packets_, (std::vector<uint32_t>{3, 1, 4096, 1}));
}

TEST_F(PipeContentTest, OnePacketIsNotPlainBytes) {
  SetPackets(true);
  Write("abc");
  EXPECT_EQ(Peeked(), "abc");
  EXPECT_EQ(packets_, (std::vector<uint32_t>{3}));
}

TEST_F(PipeContentTest, RefusesAPacketBehindPlainBytes) {
  Write(std::string(4096, 'p'));  // a whole page, else the packet would be added to it
  SetPackets(true);
  Write("abc");
  const auto content = PeekPipe(ends_[0], true);
  ASSERT_FALSE(content);
  EXPECT_EQ(content.error().code(), ErrorCode::kNotSupported);
}

TEST_F(PipeContentTest, RefusesPlainBytesBehindAPacket) {
  SetPackets(true);
  Write("abc");
  SetPackets(false);
  Write("def");
  const auto content = PeekPipe(ends_[0], false);
  ASSERT_FALSE(content);
  EXPECT_EQ(content.error().code(), ErrorCode::kNotSupported);
}

TEST_F(PipeContentTest, SeenFromTheWritersEnd) {
  Write("abc");
  close(ends_[0]);
  ends_[0] = -1;
  const auto content = PeekPipe(ends_[1], false);
  ASSERT_TRUE(content) << content.error().ToString();
  EXPECT_EQ(content->bytes.size(), 3U);
}

}  // namespace
}  // namespace baton
