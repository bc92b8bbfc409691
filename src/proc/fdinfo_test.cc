#include "proc/fdinfo.h"

#include "proc/parser_test_util.h"

namespace baton {
namespace {

// Linux 6.18.
constexpr std::string_view kEpoll =
    "pos:\t0\nflags:\t02000002\nmnt_id:\t17\nino:\t2063\n"
    "tfd:        4 events:       1c data:     deadbeefcafe  pos:0 ino:11 sdev:10\n"
    "tfd:        3 events: 80000019 data:     deadbeefcafe  pos:0 ino:11 sdev:10\n";
constexpr std::string_view kTimerfd =
    "pos:\t0\nflags:\t02\nmnt_id:\t17\nino:\t17\nclockid: 1\nticks: 0\nsettime flags: 01\n"
    "it_value: (98, 970334479)\nit_interval: (1, 5)\n";
constexpr std::string_view kInotify =
    "pos:\t0\nflags:\t00\nmnt_id:\t17\nino:\t17\ninotify wd:1 ino:3c51a sdev:fe00000 mask:fff ignored_mask:0 "
    "fhandle-bytes:8 fhandle-type:1 f_handle:1ac5030000000000\n";
// Linux 5.10: no "ino:".
constexpr std::string_view kOldLocked =
    "pos:\t8191\nflags:\t0100002\nmnt_id:\t27\nlock:\t1: FLOCK  ADVISORY  WRITE 6428 fe:00:10952835 0 EOF\n"
    "lock:\t2: POSIX  ADVISORY  READ 6428 fe:00:10952835 3 12\n";

FdInfo Parse(std::string_view text) {
  auto info = ParseFdInfo(text);
  EXPECT_TRUE(info) << info.error().ToString();
  return info ? *info : FdInfo{};
}

TEST(ProcFdInfo, CommonLines) {
  const FdInfo info = Parse(kEpoll);
  EXPECT_EQ(info.pos, 0U);
  EXPECT_EQ(info.flags, 02000002U);
  EXPECT_EQ(info.mnt_id, 17U);
  EXPECT_EQ(info.ino, 2063U);
  EXPECT_EQ(info.fields.size(), 2U);
}

TEST(ProcFdInfo, LinesOfTheKindAreKept) {
  const FdInfo timerfd = Parse(kTimerfd);
  ASSERT_NE(timerfd.Find("settime flags"), nullptr);
  EXPECT_EQ(*timerfd.Find("settime flags"), "01");
  EXPECT_EQ(*timerfd.Find("it_value"), "(98, 970334479)");
  EXPECT_EQ(timerfd.Find("pos"), nullptr);
  EXPECT_EQ(*Parse("pos:\t0\nflags:\t02\nmnt_id:\t17\neventfd-count:               5a\n").Find("eventfd-count"), "5a");
}

TEST(ProcFdInfo, OlderKernelWithLocks) {
  const FdInfo info = Parse(kOldLocked);
  EXPECT_EQ(info.pos, 8191U);
  EXPECT_EQ(info.ino, 0U);
  EXPECT_EQ(info.FindAll("lock"), (std::vector<std::string_view>{"1: FLOCK  ADVISORY  WRITE 6428 fe:00:10952835 0 EOF",
                                                                 "2: POSIX  ADVISORY  READ 6428 fe:00:10952835 3 12"}));
}

TEST(ProcFdInfo, NegativePositionLinesWithoutColonAndNamesUsedAgain) {
  const FdInfo info = Parse("pos:\t-4096\nflags:\t00\nmnt_id:\t17\nino:\t1\n  op=3, task_works=0\npos:\t7\n");
  EXPECT_EQ(info.pos, uint64_t{0} - 4096);
  EXPECT_EQ(info.fields, (std::vector<FdInfo::Field>{{"", "op=3, task_works=0"}, {"pos", "7"}}));
}

TEST(ProcFdInfo, SplitsRowsOfPairs) {
  const auto epoll = SplitFdInfoField(Parse(kEpoll).fields.at(1));
  ASSERT_TRUE(epoll) << epoll.error().ToString();
  EXPECT_EQ(*epoll, (std::vector<FdInfo::Field>{{"tfd", "3"},
                                                {"events", "80000019"},
                                                {"data", "deadbeefcafe"},
                                                {"pos", "0"},
                                                {"ino", "11"},
                                                {"sdev", "10"}}));
  const auto inotify = SplitFdInfoField(Parse(kInotify).fields.at(0));
  ASSERT_TRUE(inotify) << inotify.error().ToString();
  EXPECT_EQ(inotify->size(), 8U);
  EXPECT_EQ(inotify->front(), (FdInfo::Field{"inotify wd", "1"}));
  EXPECT_EQ(inotify->back(), (FdInfo::Field{"f_handle", "1ac5030000000000"}));
}

TEST(ProcFdInfo, MalformedLinesAreQuoted) {
  ExpectCorrupt(ParseFdInfo, "pos:\tx\nflags:\t02\nmnt_id:\t1\n", "pos:\tx");
  ExpectCorrupt(ParseFdInfo, "pos:\t-x\nflags:\t02\nmnt_id:\t1\n", "pos:\t-x");
  ExpectCorrupt(ParseFdInfo, "pos:\t0\nflags:\t09\nmnt_id:\t1\n", "flags:\t09");
  ExpectCorrupt(ParseFdInfo, "pos:\t0\nflags:\t02\nmnt_id:\t\n", "mnt_id:\t");
  ExpectCorrupt(ParseFdInfo, "pos:\t0\nflags:\t02\nmnt_id:\t1\nino:\t-1\n", "ino:\t-1");
  ExpectCorrupt(ParseFdInfo, "", "without pos");
  ExpectCorrupt(ParseFdInfo, "pos:\t0\nflags:\t02\n", "without pos");
}

TEST(ProcFdInfo, RowsThatAreNoPairsAreQuoted) {
  for (const std::string_view row : {"5 events", "5 :7", "5 events: 1 x"}) {
    ExpectCorrupt([](std::string_view text) { return SplitFdInfoField({"tfd", std::string(text)}); }, row);
  }
}

}  // namespace
}  // namespace baton
