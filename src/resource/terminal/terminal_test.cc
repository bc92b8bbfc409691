#include "resource/terminal/terminal.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "base/file.h"
#include "resource/common/kind_test_util.h"
#include "resource/common/pty.h"
#include "resource/terminal/queue.h"
#include "resource/terminal/terminal.pb.h"

namespace baton {
namespace {

using Payload = pb::TerminalPayload;

struct Pair {
  UniqueFd master{posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC)};
  UniqueFd slave = OpenSlave(master.get());

  static UniqueFd OpenSlave(int master) {
    EXPECT_EQ(unlockpt(master), 0);
    return UniqueFd(ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK));
  }
  PtyEnds ends() const { return {master.get(), slave.get()}; }
};

Payload Valid() {
  Payload message;
  message.set_role(Payload::SLAVE);
  return message;
}

class TerminalTest : public testing::Test {
 protected:
  void AddToUnit(const Pair& pair) {
    capture_.unit = {FactsOfOwn(pair.master.get(), 1), FactsOfOwn(pair.slave.get(), 2)};
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

  std::unique_ptr<ResourceKind> kind_ = MakeTerminalKind();
  FakeCapture capture_;
};

TEST_F(TerminalTest, ClaimsTerminalsOnly) {
  const Pair pair;
  EXPECT_TRUE(kind_->Claims(FactsOfOwn(pair.master.get())));
  EXPECT_TRUE(kind_->Claims(FactsOfOwn(pair.slave.get())));
  const auto null = OpenFile("/dev/null", O_RDWR);
  ASSERT_TRUE(null);
  EXPECT_FALSE(kind_->Claims(FactsOfOwn(null->get())));
}

TEST_F(TerminalTest, BothEndsHaveOneNumber) {
  const Pair pair;
  AddToUnit(pair);
  const Payload master = Captured(0);
  const Payload slave = Captured(1);
  EXPECT_EQ(master.role(), Payload::MASTER);
  EXPECT_EQ(slave.role(), Payload::SLAVE);
  EXPECT_EQ(master.number(), slave.number());
  EXPECT_EQ(master.slave(), Payload::OPEN);
  EXPECT_EQ(MasterNumber(pair.master.get()), SlaveNumber(pair.slave.get()));
}

TEST_F(TerminalTest, LookingLeavesTheQueuesAsTheyAre) {
  const Pair pair;
  ASSERT_TRUE(WriteAll(pair.slave.get(), "out\n"));
  ASSERT_TRUE(WriteAll(pair.master.get(), "line\npart"));
  AddToUnit(pair);
  for (int i = 0; i < 2; ++i) {
    const Payload master = Captured(0);
    EXPECT_EQ(master.input(), "line\npart");
    EXPECT_EQ(master.output(), "out\r\nline\r\npart");
    EXPECT_FALSE(master.stopped());
  }
  std::array<char, 64> buffer{};
  EXPECT_EQ(read(pair.slave.get(), buffer.data(), buffer.size()), 5);  // the line alone
  EXPECT_EQ(read(pair.slave.get(), buffer.data(), buffer.size()), -1);
  EXPECT_EQ(read(pair.master.get(), buffer.data(), buffer.size()), 15);
}

TEST_F(TerminalTest, PutsInputInAsItIs) {
  const Pair pair;
  ASSERT_TRUE(PutInput(pair.ends(), "\x03 no signal \x15 nor erased\n"));
  const auto taken = TakeInput(pair.ends());
  ASSERT_TRUE(taken);
  EXPECT_EQ(*taken, "\x03 no signal \x15 nor erased\n");
  const auto echo = TakeOutput(pair.ends());
  ASSERT_TRUE(echo);
  EXPECT_EQ(*echo, "");
}

TEST_F(TerminalTest, KnowsStoppedOutput) {
  const Pair pair;
  ASSERT_EQ(tcflow(pair.slave.get(), TCOOFF), 0);
  AddToUnit(pair);
  EXPECT_TRUE(Captured(0).stopped());
  EXPECT_TRUE(IsStopped(pair.ends()));
}

TEST_F(TerminalTest, RefusesATerminalOfOutside) {
  const Pair pair;
  capture_.unit = {FactsOfOwn(pair.slave.get(), 1)};
  const auto checked = kind_->Check(capture_.unit[0], capture_);
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().code(), ErrorCode::kNotSupported);
  EXPECT_NE(checked.error().ToString().find("--shell-job"), std::string::npos);
}

TEST_F(TerminalTest, RefusesHostilePayloads) {
  EXPECT_EQ(With([](auto&) {}), ErrorCode::kInternal);  // described without an error
  EXPECT_EQ(With([](auto& m) { m.set_role(static_cast<Payload::Role>(7)); }), ErrorCode::kCorrupt);
  EXPECT_EQ(With([](auto& m) { m.set_role(Payload::MASTER); }), ErrorCode::kCorrupt);
  EXPECT_EQ(With([](auto& m) { m.set_role(Payload::CONTROLLING); }), ErrorCode::kCorrupt);
  EXPECT_EQ(With([](auto& m) { m.set_number(1U << 20); }), ErrorCode::kCorrupt);
  EXPECT_EQ(With([](auto& m) { m.set_flags(O_CREAT); }), ErrorCode::kCorrupt);
  EXPECT_EQ(With([](auto& m) { m.set_settings("x"); }), ErrorCode::kCorrupt);
  EXPECT_EQ(With([](auto& m) { m.set_session(-1); }), ErrorCode::kCorrupt);
  EXPECT_EQ(With([](auto& m) { m.set_slave(static_cast<Payload::SlaveState>(3)); }), ErrorCode::kCorrupt);
  EXPECT_EQ(With([](auto& m) { m.mutable_owner()->set_id(4); }), ErrorCode::kCorrupt);
  const auto garbage = kind_->Describe("\xff\xff\xff");
  ASSERT_FALSE(garbage);
  EXPECT_EQ(garbage.error().code(), ErrorCode::kCorrupt);
}

}  // namespace
}  // namespace baton
