#include "resource/pipe/pipe.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>

#include "base/file.h"
#include "resource/common/kind_test_util.h"
#include "resource/pipe/pipe.pb.h"

namespace baton {
namespace {

struct Ends {
  UniqueFd read;
  UniqueFd write;
};

Ends MakePipe(int flags = 0) {
  std::array<int, 2> ends{};
  EXPECT_EQ(pipe2(ends.data(), O_CLOEXEC | flags), 0);
  return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}

pb::PipePayload Valid() {
  pb::PipePayload message;
  message.set_pipe(1);
  message.set_capacity(4096);
  return message;
}

class PipeTest : public testing::Test {
 protected:
  void AddToUnit(const Ends& ends) {
    capture_.unit.push_back(FactsOfOwn(ends.read.get(), 1));
    capture_.unit.push_back(FactsOfOwn(ends.write.get(), 2));
  }
  pb::PipePayload Captured(size_t index) {
    const auto payload = kind_->Capture(capture_.unit[index], capture_);
    pb::PipePayload message;
    EXPECT_TRUE(payload && message.ParseFromString(*payload));
    EXPECT_TRUE(kind_->Describe(*payload));
    return message;
  }
  ErrorCode CodeOf(const pb::PipePayload& message) {
    const auto described = kind_->Describe(message.SerializeAsString());
    return described ? ErrorCode::kInternal : described.error().code();
  }

  std::unique_ptr<ResourceKind> kind_ = MakePipeKind();
  FakeCapture capture_;
};

TEST_F(PipeTest, ClaimsPipesOnly) {
  AddToUnit(MakePipe());
  EXPECT_TRUE(kind_->Claims(capture_.unit[0]));
  const auto directory = OpenFile("/", O_RDONLY | O_DIRECTORY);
  ASSERT_TRUE(directory);
  EXPECT_FALSE(kind_->Claims(FactsOfOwn(directory->get())));
}

TEST_F(PipeTest, BothEndsAreOnePipeAndTheFirstHasTheContent) {
  const Ends ends = MakePipe(O_NONBLOCK);
  fcntl(ends.write.get(), F_SETPIPE_SZ, 8192);
  ASSERT_TRUE(WriteAll(ends.write.get(), "some bytes"));
  AddToUnit(ends);
  const auto reader = Captured(0);
  const auto writer = Captured(1);
  EXPECT_EQ(reader.pipe(), writer.pipe());
  EXPECT_EQ(reader.content(), "some bytes");
  EXPECT_TRUE(writer.content().empty());
  EXPECT_EQ(reader.capacity(), 8192U);
  EXPECT_EQ(reader.flags(), static_cast<unsigned>(O_RDONLY | O_NONBLOCK));
  EXPECT_EQ(writer.flags(), static_cast<unsigned>(O_WRONLY | O_NONBLOCK));
}

TEST_F(PipeTest, CheckAcceptsAWholePipeAndOneWithAnEndClosed) {
  Ends ends = MakePipe();
  AddToUnit(ends);
  EXPECT_TRUE(kind_->Check(capture_.unit[0], capture_));
  Ends half = MakePipe();
  {
    const UniqueFd closed = std::move(half.read);
  }
  capture_.unit = {FactsOfOwn(half.write.get())};
  EXPECT_TRUE(kind_->Check(capture_.unit[0], capture_));
}

TEST_F(PipeTest, CheckNamesWhoHoldsTheOtherEnd) {
  Ends ends = MakePipe();
  const pid_t holder = fork();
  if (holder == 0) {
    pause();
    _exit(0);
  }
  {
    const UniqueFd closed = std::move(ends.read);
  }
  capture_.unit = {FactsOfOwn(ends.write.get())};
  const auto checked = kind_->Check(capture_.unit[0], capture_);
  kill(holder, SIGKILL);
  waitpid(holder, nullptr, 0);
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().code(), ErrorCode::kNotSupported);
  EXPECT_NE(checked.error().ToString().find(fmt::format("process {}", holder)), std::string::npos);
}

TEST_F(PipeTest, RefusesSignalsToOutsiders) {
  const Ends ends = MakePipe();
  ASSERT_EQ(fcntl(ends.read.get(), F_SETOWN, getppid()), 0);
  AddToUnit(ends);
  const auto checked = kind_->Check(capture_.unit[0], capture_);
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().code(), ErrorCode::kNotSupported);
}

TEST_F(PipeTest, CapturesTheOwner) {
  const Ends ends = MakePipe();
  capture_.processes = {{getpid(), 7}};
  ASSERT_EQ(fcntl(ends.read.get(), F_SETOWN, getpid()), 0);
  ASSERT_EQ(fcntl(ends.read.get(), F_SETSIG, SIGUSR1), 0);
  AddToUnit(ends);
  const auto owner = Captured(0).owner();
  EXPECT_EQ(owner.kind(), pb::FileOwner::PROCESS);
  EXPECT_EQ(owner.id(), 7);
  EXPECT_EQ(owner.signal(), SIGUSR1);
  EXPECT_FALSE(owner.async());
}

TEST_F(PipeTest, RefusesHostilePayloads) {
  EXPECT_EQ(CodeOf(Valid()), ErrorCode::kInternal);  // described without an error
  const auto with = [&](auto change) {
    pb::PipePayload message = Valid();
    change(message);
    return CodeOf(message);
  };
  EXPECT_EQ(with([](auto& m) { m.set_pipe(0); }), ErrorCode::kCorrupt);
  EXPECT_EQ(with([](auto& m) { m.set_flags(O_ACCMODE); }), ErrorCode::kCorrupt);
  EXPECT_EQ(with([](auto& m) { m.set_flags(O_CREAT); }), ErrorCode::kCorrupt);
  EXPECT_EQ(with([](auto& m) { m.set_capacity(0); }), ErrorCode::kCorrupt);
  EXPECT_EQ(with([](auto& m) { m.set_capacity(5000); }), ErrorCode::kCorrupt);
  EXPECT_EQ(with([](auto& m) { m.set_content(std::string(4097, 'x')); }), ErrorCode::kCorrupt);
  EXPECT_EQ(with([](auto& m) { m.set_path("relative"); }), ErrorCode::kCorrupt);
  EXPECT_EQ(with([](auto& m) { m.set_path(std::string("/a\0b", 4)); }), ErrorCode::kCorrupt);
  EXPECT_EQ(with([](auto& m) { m.add_packets(1); }), ErrorCode::kCorrupt);
  EXPECT_EQ(with([](auto& m) { m.set_content("xy"), m.add_packets(0), m.add_packets(2); }), ErrorCode::kCorrupt);
  EXPECT_EQ(with([](auto& m) { m.set_content("xy"), m.add_packets(1), m.add_packets(1); }), ErrorCode::kCorrupt);
  EXPECT_EQ(with([](auto& m) { m.set_awaits_writer(true); }), ErrorCode::kCorrupt);
  EXPECT_EQ(with([](auto& m) { m.mutable_owner()->set_id(4); }), ErrorCode::kCorrupt);
  EXPECT_EQ(with([](auto& m) { m.mutable_owner()->set_signal(65); }), ErrorCode::kCorrupt);
  const auto garbage = kind_->Describe("\xff\xff\xff");
  ASSERT_FALSE(garbage);
  EXPECT_EQ(garbage.error().code(), ErrorCode::kCorrupt);
}

TEST_F(PipeTest, DescribesContent) {
  pb::PipePayload message = Valid();
  message.set_content("xy");
  message.add_packets(2);
  EXPECT_EQ(*kind_->Describe(message.SerializeAsString()), "pipe 1, read end, 2 bytes in it (1 packets)");
}

}  // namespace
}  // namespace baton
