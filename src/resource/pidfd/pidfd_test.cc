#include "resource/pidfd/pidfd.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "resource/common/kind_test_util.h"
#include "resource/pidfd/pidfd.pb.h"

namespace baton {
namespace {

UniqueFd OpenPidfd(pid_t pid, unsigned flags = 0) {
  return UniqueFd(static_cast<int>(syscall(SYS_pidfd_open, pid, flags)));
}

class PidfdTest : public testing::Test {
 protected:
  pb::PidfdPayload Captured(int fd) {
    const auto payload = kind_->Capture(FactsOfOwn(fd), capture_);
    pb::PidfdPayload message;
    EXPECT_TRUE(payload && message.ParseFromString(*payload));
    EXPECT_TRUE(kind_->Describe(*payload));
    return message;
  }
  ErrorCode CodeOf(const pb::PidfdPayload& message) {
    const auto described = kind_->Describe(message.SerializeAsString());
    return described ? ErrorCode::kInternal : described.error().code();
  }

  std::unique_ptr<ResourceKind> kind_ = MakePidfdKind();
  FakeCapture capture_;
};

TEST_F(PidfdTest, ClaimsPidfdsOnly) {
  const UniqueFd event(eventfd(0, EFD_CLOEXEC));
  EXPECT_TRUE(kind_->Claims(FactsOfOwn(OpenPidfd(getpid()).get())));
  EXPECT_FALSE(kind_->Claims(FactsOfOwn(event.get())));
}

TEST_F(PidfdTest, CapturesTheUnitsNumber) {
  capture_.processes = {{getpid(), 7}};
  const UniqueFd fd = OpenPidfd(getpid(), O_NONBLOCK);
  EXPECT_TRUE(kind_->Check(FactsOfOwn(fd.get()), capture_));
  const auto message = Captured(fd.get());
  EXPECT_EQ(message.number(), 7);
  EXPECT_TRUE(message.nonblocking());
  EXPECT_FALSE(message.thread());
}

TEST_F(PidfdTest, RefusesAProcessOutside) {
  const UniqueFd fd = OpenPidfd(getppid());
  const auto checked = kind_->Check(FactsOfOwn(fd.get()), capture_);
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().code(), ErrorCode::kNotSupported);
}

TEST_F(PidfdTest, AProcessThatIsGoneHasNoNumber) {
  const pid_t child = fork();
  if (child == 0) _exit(0);
  const UniqueFd fd = OpenPidfd(child);
  ASSERT_EQ(waitpid(child, nullptr, 0), child);
  EXPECT_TRUE(kind_->Check(FactsOfOwn(fd.get()), capture_));
  const auto message = Captured(fd.get());
  EXPECT_EQ(message.number(), 0);
}

TEST_F(PidfdTest, RefusesHostilePayloads) {
  EXPECT_EQ(CodeOf({}), ErrorCode::kInternal);  // described without an error
  const auto with = [&](auto change) {
    pb::PidfdPayload message;
    change(message);
    return CodeOf(message);
  };
  EXPECT_EQ(with([](auto& m) { m.set_number(-1); }), ErrorCode::kCorrupt);
  EXPECT_EQ(with([](auto& m) { m.set_process(1); }), ErrorCode::kCorrupt);
  EXPECT_EQ(with([](auto& m) { m.set_number(1), m.set_process(1); }), ErrorCode::kCorrupt);
  EXPECT_EQ(with([](auto& m) { m.set_number(1), m.set_thread(true); }), ErrorCode::kCorrupt);
  EXPECT_EQ(with([](auto& m) { m.set_number(1), m.set_thread(true), m.set_process(-1); }), ErrorCode::kCorrupt);
  const auto garbage = kind_->Describe("\x08");
  ASSERT_FALSE(garbage);
  EXPECT_EQ(garbage.error().code(), ErrorCode::kCorrupt);
}

}  // namespace
}  // namespace baton
