#include "cli/setuid_note.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace baton {
namespace {

TEST(SetuidNote, OnlyOfOthersProgramsWithTheBit) {
  std::string directory = std::filesystem::temp_directory_path() / "baton-setuid-XXXXXX";
  ASSERT_NE(mkdtemp(directory.data()), nullptr);
  const std::string program = directory + "/program";
  std::ofstream(program) << "#!/bin/sh\n";
  ASSERT_EQ(chmod(program.c_str(), 04755), 0);
  EXPECT_EQ(SetuidNote(program), "") << "our own";
  EXPECT_EQ(SetuidNote("no-such-program"), "");
  EXPECT_EQ(SetuidNote(directory), "");
  // Root has nothing to be told; everybody else has a su of root's in PATH.
  const bool told = !SetuidNote("su").empty();
  EXPECT_EQ(told, geteuid() != 0);
  std::filesystem::remove_all(directory);
}

}  // namespace
}  // namespace baton
