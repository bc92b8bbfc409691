#include "proc/syscall.h"

#include "proc/parser_test_util.h"

namespace baton {
namespace {

TEST(ProcSyscall, InASystemCall) {
  const auto syscall =
      ParseSyscall("61 0xffffffff 0x7ffd39f5cad0 0x0 0x0 0x1 0xffffffffffffffff 0x7ffd39f5caa8 0x7fccff586bd3\n");
  ASSERT_TRUE(syscall) << syscall.error().ToString();
  EXPECT_FALSE(syscall->running);
  EXPECT_EQ(syscall->number, 61);
  EXPECT_EQ(syscall->args, (std::array<uint64_t, 6>{0xffffffff, 0x7ffd39f5cad0, 0, 0, 1, ~uint64_t{0}}));
  EXPECT_EQ(syscall->sp, 0x7ffd39f5caa8U);
  EXPECT_EQ(syscall->pc, 0x7fccff586bd3U);
}

TEST(ProcSyscall, RunningAndBlockedElsewhere) {
  EXPECT_TRUE(ParseSyscall("running\n")->running);
  const auto blocked = ParseSyscall("-1 0x7ffd39f5caa8 0x7fccff586bd3\n");
  ASSERT_TRUE(blocked) << blocked.error().ToString();
  EXPECT_FALSE(blocked->running);
  EXPECT_EQ(blocked->number, -1);
  EXPECT_EQ(blocked->pc, 0x7fccff586bd3U);
  EXPECT_EQ(ParseSyscall("-1 0x0 0x0\n")->sp, 0U);  // a zombie
}

TEST(ProcSyscall, MalformedIsQuoted) {
  for (const std::string_view text : {"", "runnin", "running x", "61", "61 0x0 0x0 0x0 0x0 0x0 0x0 0x1", "-1 0x0",
                                      "-1 0x0 0x0 0x0", "-1 0x0 12", "x 0x0 0x0", "61 0x0 0x0 0x0 0x0 0x0 y 0x1 0x2"}) {
    ExpectCorrupt(ParseSyscall, text);
  }
}

}  // namespace
}  // namespace baton
