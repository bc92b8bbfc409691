#include "resource/signalfd/signalfd.h"

#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <csignal>

#include "resource/common/kind_test_util.h"
#include "resource/signalfd/signalfd.pb.h"

namespace baton {
namespace {

class SignalfdTest : public testing::Test {
 protected:
  UniqueFd Make(int flags) {
    sigset_t mask{};
    sigaddset(&mask, SIGHUP);
    sigaddset(&mask, 64);
    return UniqueFd(signalfd(-1, &mask, SFD_CLOEXEC | flags));
  }
  std::unique_ptr<ResourceKind> kind_ = MakeSignalfdKind();
  FakeCapture capture_;
};

TEST_F(SignalfdTest, ClaimsSignalfdsOnly) {
  const UniqueFd event(eventfd(0, EFD_CLOEXEC));
  EXPECT_TRUE(kind_->Claims(FactsOfOwn(Make(0).get())));
  EXPECT_FALSE(kind_->Claims(FactsOfOwn(event.get())));
}

TEST_F(SignalfdTest, CapturesMaskAndFlags) {
  const UniqueFd fd = Make(SFD_NONBLOCK);
  const auto payload = kind_->Capture(FactsOfOwn(fd.get()), capture_);
  ASSERT_TRUE(payload);
  pb::SignalfdPayload message;
  ASSERT_TRUE(message.ParseFromString(*payload));
  EXPECT_EQ(message.mask(), 0x8000000000000001U);
  EXPECT_TRUE(message.nonblocking());
  EXPECT_EQ(*kind_->Describe(*payload), "signalfd, mask 8000000000000001, non-blocking");
}

TEST_F(SignalfdTest, RefusesHostilePayloads) {
  for (const int signal : {SIGKILL, SIGSTOP}) {
    pb::SignalfdPayload message;
    message.set_mask(uint64_t{1} << (signal - 1));
    const auto described = kind_->Describe(message.SerializeAsString());
    ASSERT_FALSE(described);
    EXPECT_EQ(described.error().code(), ErrorCode::kCorrupt);
  }
  const auto garbage = kind_->Describe("\x09\x01");
  ASSERT_FALSE(garbage);
  EXPECT_EQ(garbage.error().code(), ErrorCode::kCorrupt);
}

}  // namespace
}  // namespace baton
