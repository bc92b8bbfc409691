#include "proc/stat.h"

#include "proc/parser_test_util.h"

namespace baton {
namespace {

// Linux 6.18, of a program that named itself "a) R 1 (\nb\\".
constexpr std::string_view kStat =
    "6428 (a) R 1 (\nb\\) S 1 6411 2925 34816 -1 4194304 122 7 8 9 10 11 -12 13 20 -5 3 0 842466 2560000 293 "
    "18446744073709551615 93892795469824 93892795471661 140730545565136 14 15 0 1 6 2 16 0 0 17 1 18 2 21 22 23 "
    "93892795481552 93892795482344 93893118631936 140730545568419 140730545568423 140730545568424 140730545569780 9\n";

TEST(ProcStat, HeadAndJobControl) {
  const auto stat = ParseStat(kStat);
  ASSERT_TRUE(stat) << stat.error().ToString();
  EXPECT_EQ(stat->pid, 6428);
  EXPECT_EQ(stat->comm, "a) R 1 (\nb\\");
  EXPECT_EQ(stat->state, 'S');
  EXPECT_EQ(stat->ppid, 1);
  EXPECT_EQ(stat->pgrp, 6411);
  EXPECT_EQ(stat->session, 2925);
  EXPECT_EQ(stat->tty_nr, 34816);
  EXPECT_EQ(stat->tpgid, -1);
  EXPECT_EQ(stat->flags, 4194304U);
  EXPECT_EQ(stat->minflt, 122U);
  EXPECT_EQ(stat->cmajflt, 9U);
}

TEST(ProcStat, TimesAndPriorities) {
  const auto stat = ParseStat(kStat);
  ASSERT_TRUE(stat);
  EXPECT_EQ(stat->utime, 10U);
  EXPECT_EQ(stat->cutime, -12);
  EXPECT_EQ(stat->priority, 20);
  EXPECT_EQ(stat->nice, -5);
  EXPECT_EQ(stat->num_threads, 3);
  EXPECT_EQ(stat->starttime, 842466U);
  EXPECT_EQ(stat->vsize, 2560000U);
  EXPECT_EQ(stat->rss, 293);
  EXPECT_EQ(stat->rsslim, ~uint64_t{0});
}

TEST(ProcStat, AddressesAndTheEnd) {
  const auto stat = ParseStat(kStat);
  ASSERT_TRUE(stat);
  EXPECT_EQ(stat->startcode, 93892795469824U);
  EXPECT_EQ(stat->kstkeip, 15U);
  EXPECT_EQ(stat->sigignore, 6U);
  EXPECT_EQ(stat->wchan, 16U);
  EXPECT_EQ(stat->exit_signal, 17);
  EXPECT_EQ(stat->processor, 1);
  EXPECT_EQ(stat->rt_priority, 18U);
  EXPECT_EQ(stat->policy, 2U);
  EXPECT_EQ(stat->delayacct_blkio_ticks, 21U);
  EXPECT_EQ(stat->cguest_time, 23);
  EXPECT_EQ(stat->start_data, 93892795481552U);
  EXPECT_EQ(stat->env_start, 140730545568424U);
  EXPECT_EQ(stat->env_end, 140730545569780U);
  EXPECT_EQ(stat->exit_code, 9);
}

TEST(ProcStat, LaterFieldsAreIgnored) {
  const std::string more = std::string(kStat.substr(0, kStat.size() - 1)) + " 77 new\n";
  EXPECT_EQ(ParseStat(more)->exit_code, 9);
}

TEST(ProcStat, MalformedIsQuoted) {
  const std::string short_by_one(kStat.substr(0, kStat.rfind(' ')));
  ExpectCorrupt(ParseStat, short_by_one, "6428 (a) R 1 (\\x0ab\\) S 1");
  for (const std::string_view text : {"", "6428", "6428 (x", "x (y) S 1", "6428) (x S 1", "6428 (x) SS 1",
                                      "6428(x) S 1", "6428 (x) S y", "6428 (x)"}) {
    ExpectCorrupt(ParseStat, text);
  }
}

}  // namespace
}  // namespace baton
