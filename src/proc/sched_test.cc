#include "proc/sched.h"

#include "proc/parser_test_util.h"

namespace baton {
namespace {

// Linux 6.18; the program's name has a newline in it, and a line that looks like one of ours.
constexpr std::string_view kSched =
    R"(a) R 1 (
nr_switches:9 (6428, #threads: 1)
-------------------------------------------------------------------
se.exec_start                                :       8412102.462763
se.nr_migrations                             :                    1
nr_switches                                  :                    2
policy                                       :                    0
mm->numa_scan_seq                            :                    0
numa_preferred_nid                           :                   -1
current_node=0, numa_group_id=0
numa_faults node=0 task_private=0 task_shared=0 group_private=0 group_shared=0
)";

// Linux 5.10 without NUMA.
constexpr std::string_view kOldSched =
    R"(cat (77, #threads: 1)
-------------------------------------------------------------------
se.exec_start                                :        123456.000001
nr_switches                                  :                   18
clock-delta                                  :                   30
)";

TEST(ProcSched, Values) {
  const auto sched = ParseSched(kSched);
  ASSERT_TRUE(sched) << sched.error().ToString();
  EXPECT_EQ(sched->nr_switches, 2U);
  EXPECT_DOUBLE_EQ(sched->Find("se.exec_start").value_or(0), 8412102.462763);
  EXPECT_DOUBLE_EQ(sched->Find("numa_preferred_nid").value_or(0), -1);
  EXPECT_FALSE(sched->Find("current_node"));
  EXPECT_EQ(sched->values.size(), 6U);
}

TEST(ProcSched, OlderKernel) {
  const auto sched = ParseSched(kOldSched);
  ASSERT_TRUE(sched) << sched.error().ToString();
  EXPECT_EQ(sched->nr_switches, 18U);
  EXPECT_DOUBLE_EQ(sched->Find("se.exec_start").value_or(0), 123456.000001);
}

TEST(ProcSched, MalformedLinesAreQuoted) {
  constexpr std::string_view kHead =
      "cat (77, #threads: 1)\n-------------------------------------------------------------------\n";
  ExpectCorrupt(ParseSched, "", "no rule");
  ExpectCorrupt(ParseSched, "cat (77, #threads: 1)\n--------\nnr_switches : 1\n", "cat (77");
  ExpectCorrupt(ParseSched, kHead, "nr_switches");
  for (const std::string_view line :
       {"se.exec_start : x", "se.exec_start :", "se.x : nan", "nr_switches : 1.5", "nr_switches : -1"}) {
    ExpectCorrupt(ParseSched, std::string(kHead) + std::string(line) + "\n", line);
  }
}

}  // namespace
}  // namespace baton
