#include "resource/mqueue/mqueue.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <mqueue.h>
#include <unistd.h>

#include <csignal>

#include "resource/common/kind_test_util.h"
#include "resource/mqueue/messages.h"
#include "resource/mqueue/mqueue.pb.h"

namespace baton {
namespace {

class MqueueTest : public testing::Test {
 protected:
  MqueueTest() {
    const std::string name = fmt::format("/mqueue_test-{}", getpid());
    mq_attr attributes{};
    attributes.mq_maxmsg = 5;
    attributes.mq_msgsize = 100;
    queue_ = mq_open(name.c_str(), O_CREAT | O_EXCL | O_RDWR | O_NONBLOCK | O_CLOEXEC, 0600, &attributes);
    mq_unlink(name.c_str());
    if (queue_ >= 0) capture_.unit = {FactsOfOwn(queue_)};
  }
  ~MqueueTest() override {
    if (queue_ >= 0) mq_close(queue_);
  }
  template <typename Change>
  ErrorCode With(Change change) {
    pb::MqueuePayload message;
    message.set_name("queue");
    message.set_most_messages(1);
    message.set_message_bytes(1);
    change(message);
    const auto described = kind_->Describe(message.SerializeAsString());
    return described ? ErrorCode::kInternal : described.error().code();
  }

  std::unique_ptr<ResourceKind> kind_ = MakeMqueueKind();
  FakeCapture capture_;
  int queue_ = -1;
};

TEST_F(MqueueTest, LooksAtMessagesAndLeavesThem) {
  if (queue_ < 0) GTEST_SKIP() << "no message queues here";
  const FdFacts& file = capture_.unit.front();
  ASSERT_TRUE(kind_->Claims(file));
  ASSERT_EQ(mq_send(queue_, "low", 3, 1), 0);
  ASSERT_EQ(mq_send(queue_, "high", 4, 7), 0);
  ASSERT_TRUE(kind_->Check(file, capture_));
  const auto payload = kind_->Capture(file, capture_);
  ASSERT_TRUE(payload);
  ASSERT_TRUE(kind_->Describe(*payload));
  ASSERT_EQ(capture_.contents.size(), 1U);
  pb::MqueueContent content;
  const std::vector<std::byte>& bytes = capture_.contents.begin()->second;
  ASSERT_TRUE(content.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())));
  ASSERT_EQ(content.messages_size(), 2);
  EXPECT_EQ(content.messages(0).content(), "high");
  EXPECT_EQ(content.messages(0).priority(), 7U);
  EXPECT_EQ(content.messages(1).content(), "low");
  mq_attr attributes{};
  mq_getattr(queue_, &attributes);
  EXPECT_EQ(attributes.mq_curmsgs, 2);
}

TEST_F(MqueueTest, RefusesWhoIsToBeNotified) {
  if (queue_ < 0) GTEST_SKIP() << "no message queues here";
  const FdFacts& file = capture_.unit.front();
  sigevent event{};
  event.sigev_notify = SIGEV_SIGNAL;
  event.sigev_signo = SIGURG;
  ASSERT_EQ(mq_notify(queue_, &event), 0);
  EXPECT_EQ(kind_->Check(file, capture_).error().code(), ErrorCode::kNotSupported);
  mq_notify(queue_, nullptr);
  event.sigev_notify = SIGEV_NONE;
  ASSERT_EQ(mq_notify(queue_, &event), 0);
  EXPECT_TRUE(kind_->Check(file, capture_));
}

TEST(MqueueState, IsParsed) {
  const auto state = ParseQueueState("QSIZE:129        NOTIFY:2     SIGNO:0     NOTIFY_PID:8260  \n");
  ASSERT_TRUE(state);
  EXPECT_EQ(state->bytes, 129U);
  EXPECT_EQ(state->notify, 2);
  EXPECT_EQ(state->notified, 8260);
  for (const char* text :
       {"", "QSIZE:", "QSIZE:1 NOTIFY:x NOTIFY_PID:0", "QSIZE:1 NOTIFY:0", "NOTIFY:0 NOTIFY_PID:0"}) {
    const auto wrong = ParseQueueState(text);
    ASSERT_FALSE(wrong) << text;
    EXPECT_EQ(wrong.error().code(), ErrorCode::kCorrupt);
  }
}

TEST_F(MqueueTest, RefusesHostilePayloads) {
  EXPECT_EQ(With([](auto&) {}), ErrorCode::kInternal);  // described without an error
  EXPECT_EQ(With([](auto& m) { m.set_name(""); }), ErrorCode::kCorrupt);
  EXPECT_EQ(With([](auto& m) { m.set_name("a/b"); }), ErrorCode::kCorrupt);
  EXPECT_EQ(With([](auto& m) { m.set_name(std::string(300, 'a')); }), ErrorCode::kCorrupt);
  EXPECT_EQ(With([](auto& m) { m.set_flags(O_ACCMODE); }), ErrorCode::kCorrupt);
  EXPECT_EQ(With([](auto& m) { m.set_flags(O_APPEND); }), ErrorCode::kCorrupt);
  EXPECT_EQ(With([](auto& m) { m.set_mode(01777); }), ErrorCode::kCorrupt);
  EXPECT_EQ(With([](auto& m) { m.set_message_bytes(0); }), ErrorCode::kCorrupt);
  EXPECT_EQ(With([](auto& m) { m.set_notified(-1); }), ErrorCode::kCorrupt);
  EXPECT_FALSE(kind_->Describe("\xff\xff\xff"));
}

}  // namespace
}  // namespace baton
