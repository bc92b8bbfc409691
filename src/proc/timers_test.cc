#include "proc/timers.h"

#include "proc/parser_test_util.h"

namespace baton {
namespace {

// Linux 6.18.
constexpr std::string_view kTimers =
    "ID: 2\nsignal: 34/00007fff86e452a8\nnotify: signal/tid.6428\nClockID: 1\n"
    "ID: 1\nsignal: 60/ffffffffffffffff\nnotify: none/pid.6428\nClockID: -6\n"
    "ID: 0\nsignal: 60/0000000000000000\nnotify: thread/pid.0\nClockID: 0\n";

TEST(ProcTimers, Timers) {
  const auto timers = ParseTimers(kTimers);
  ASSERT_TRUE(timers) << timers.error().ToString();
  ASSERT_EQ(timers->size(), 3U);
  const ProcTimer& first = timers->front();
  EXPECT_EQ(first.id, 2);
  EXPECT_EQ(first.signal, 34);
  EXPECT_EQ(first.value, 0x7fff86e452a8U);
  EXPECT_EQ(first.notify, ProcTimer::Notify::kSignal);
  EXPECT_TRUE(first.to_thread);
  EXPECT_EQ(first.target, 6428);
  EXPECT_EQ(first.clock_id, 1);
  EXPECT_EQ(timers->at(1).value, ~uint64_t{0});
  EXPECT_EQ(timers->at(1).notify, ProcTimer::Notify::kNone);
  EXPECT_FALSE(timers->at(1).to_thread);
  EXPECT_EQ(timers->at(1).clock_id, -6);
  EXPECT_EQ(timers->at(2).notify, ProcTimer::Notify::kThread);
}

TEST(ProcTimers, None) { EXPECT_TRUE(ParseTimers("")->empty()); }

TEST(ProcTimers, MalformedLinesAreQuoted) {
  ExpectCorrupt(ParseTimers, "ID: x\n", "ID: x");
  ExpectCorrupt(ParseTimers, "signal: 60/0\n", "signal: 60/0");
  for (const std::string_view line : {"signal: 60", "signal: 60/x", "signal: 60/00 ", "ID: 1"}) {
    ExpectCorrupt(ParseTimers, "ID: 1\n" + std::string(line) + "\n", line);
  }
  for (const std::string_view line :
       {"notify: mail/pid.1", "notify: signal/gid.1", "notify: signal/pid.x", "notify: signal"}) {
    ExpectCorrupt(ParseTimers, "ID: 1\nsignal: 60/0\n" + std::string(line) + "\n", line);
  }
  ExpectCorrupt(ParseTimers, "ID: 1\nsignal: 60/0\nnotify: none/pid.1\nClockID: \n", "ClockID: ");
  ExpectCorrupt(ParseTimers, "ID: 1\nsignal: 60/0\nnotify: none/pid.1\n", "cut off");
}

}  // namespace
}  // namespace baton
