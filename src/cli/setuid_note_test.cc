#include "cli/setuid_note.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "base/test_dir.h"

namespace baton {
namespace {

TEST(SetuidNote, OnlyOfOthersProgramsWithTheBit) {
  const TestDir directory;
  const std::string program = directory / "program";
  std::ofstream(program) << "#!/bin/sh\n";
  ASSERT_EQ(chmod(program.c_str(), 04755), 0);
  EXPECT_EQ(SetuidNote(program), "") << "our own";
  EXPECT_EQ(SetuidNote("no-such-program"), "");
  EXPECT_EQ(SetuidNote(directory.path()), "");
  // Root has nothing to be told; everybody else has a su of root's in PATH.
  const bool told = !SetuidNote("su").empty();
  EXPECT_EQ(told, geteuid() != 0);
}

}  // namespace
}  // namespace baton
