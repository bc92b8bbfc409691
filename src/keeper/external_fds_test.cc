#include "keeper/external_fds.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>

namespace baton {
namespace {

TEST(ExternalRule, IsReadFromText) {
  const auto inherit = ParseExternalRule("fd:12=inherit");
  ASSERT_TRUE(inherit);
  EXPECT_EQ(inherit->fd, 12);
  EXPECT_FALSE(inherit->close);
  const auto close = ParseExternalRule("fd:0=close");
  ASSERT_TRUE(close);
  EXPECT_EQ(close->fd, 0);
  EXPECT_TRUE(close->close);
  for (const char* bad : {"", "fd:", "fd:1", "fd:=close", "fd:-1=close", "fd:1x=close", "1=close", "fd:1=keep",
                          "fd:1=inherit=close", "fd:99999999999=close"}) {
    EXPECT_FALSE(ParseExternalRule(bad)) << bad;
  }
}

TEST(PlaceExternals, FollowsTheImageUnlessARuleSaysElse) {
  const auto placed = PlaceExternals({"fd:0", "fd:1=close", "stdout", "fd:2"}, {{.fd = 2, .close = true}});
  ASSERT_TRUE(placed) << placed.error().ToString();
  EXPECT_EQ(placed->at("fd:0"), 0);
  EXPECT_EQ(placed->at("fd:1=close"), -1);
  EXPECT_EQ(placed->at("stdout"), 1);
  EXPECT_EQ(placed->at("fd:2"), -1);
}

TEST(PlaceExternals, RefusesWhatIsNotOpenOrNotKnown) {
  EXPECT_EQ(PlaceExternals({"fd:987"}, {}).error().code(), ErrorCode::kInvalidArgument);
  EXPECT_TRUE(PlaceExternals({"fd:987"}, {{.fd = 987, .close = true}}));
  EXPECT_EQ(PlaceExternals({"database"}, {}).error().code(), ErrorCode::kInvalidArgument);
}

TEST(FindExternals, NamesWhatRulesAndShellsGive) {
  std::array<int, 2> ends{};
  ASSERT_EQ(pipe2(ends.data(), O_CLOEXEC), 0);
  const UniqueFd reader(ends[0]);
  const UniqueFd writer(ends[1]);
  const auto found = FindExternals(getpid(), {{.fd = reader.get()}, {.fd = writer.get(), .close = true}}, false);
  ASSERT_TRUE(found) << found.error().ToString();
  ASSERT_EQ(found->externals.size(), 2U);
  EXPECT_EQ(found->externals[0].name, fmt::format("fd:{}", reader.get()));
  EXPECT_EQ(found->externals[1].name, fmt::format("fd:{}=close", writer.get()));
  EXPECT_EQ(FindExternals(getpid(), {{.fd = 987}}, false).error().code(), ErrorCode::kNotFound);
}

TEST(FindExternals, AShellJobsPipesAreOutsideButItsFilesAreNot) {
  std::array<int, 2> ends{};
  std::array<int, 2> ready{};
  ASSERT_EQ(pipe2(ends.data(), O_CLOEXEC), 0);
  ASSERT_EQ(pipe2(ready.data(), O_CLOEXEC), 0);
  const pid_t child = fork();
  if (child == 0) {
    dup2(ends[0], STDIN_FILENO);
    dup2(open("/dev/null", O_WRONLY), STDOUT_FILENO);
    close(STDERR_FILENO);
    if (write(ready[1], "x", 1) == 1) pause();  // to be killed
    _exit(1);
  }
  const std::array<UniqueFd, 4> owned{UniqueFd(ends[0]), UniqueFd(ends[1]), UniqueFd(ready[0]), UniqueFd(ready[1])};
  char byte = 0;
  ASSERT_EQ(read(ready[0], &byte, 1), 1);
  const auto found = FindExternals(child, {}, true);
  const auto between = FindExternals(child, {}, true, {getpid(), child});
  std::vector<std::string> names;
  if (found) {
    for (const ExternalFd& external : found->externals) names.push_back(external.name);
  }
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  ASSERT_TRUE(found) << found.error().ToString();
  ASSERT_EQ(names.size(), 1U);
  EXPECT_EQ(names[0], "fd:0");
  ASSERT_TRUE(between) << between.error().ToString();
  EXPECT_TRUE(between->externals.empty()) << "we have the other end, and belong to it";
}

}  // namespace
}  // namespace baton
