#include "keeper/processes_below.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <thread>

#include "task/ptrace.h"

namespace baton {
namespace {

// A child that makes one of its own, which tells its number by a pipe; both wait to be killed.
struct Family {
  pid_t child = 0;
  pid_t grandchild = 0;

  Family() {
    std::array<int, 2> ends{};
    EXPECT_EQ(pipe(ends.data()), 0);
    child = fork();
    if (child == 0) {
      const pid_t own = fork();
      if (own != 0 && write(ends[1], &own, sizeof(own)) < 0) _exit(1);
      while (true) pause();
    }
    EXPECT_EQ(read(ends[0], &grandchild, sizeof(grandchild)), static_cast<ssize_t>(sizeof(grandchild)));
    close(ends[0]);
    close(ends[1]);
  }
  Family(const Family&) = delete;
  Family& operator=(const Family&) = delete;
  ~Family() {
    kill(grandchild, SIGKILL);
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
  }
};

TEST(ProcessesBelow, AreAllGenerations) {
  const Family family;
  const auto below = ProcessesBelow(getpid());
  EXPECT_TRUE(below.contains(family.child));
  EXPECT_TRUE(below.contains(family.grandchild));
  EXPECT_EQ(ProcessesBelow(family.child), std::set<pid_t>{family.grandchild});
}

TEST(ProcessesBelow, DieWithTheThreadThatTracesThem) {
  const Family family;
  // Only the grandchild is held; its parent, the "init", goes on.
  std::thread([&] {
    ASSERT_TRUE(Seize(family.grandchild, PTRACE_O_TRACESYSGOOD));
    ASSERT_EQ(ptrace(PTRACE_INTERRUPT, family.grandchild, nullptr, nullptr), 0);
    int status = 0;
    ASSERT_EQ(waitpid(family.grandchild, &status, __WALL), family.grandchild);
    DieWithTracer(family.child);
  }).join();
  // Its parent is told, and has not taken notice: it stays as a zombie, whose end the kernel shows at once.
  siginfo_t info{};
  EXPECT_EQ(kill(family.child, 0), 0);
  while (ptrace(PTRACE_SEIZE, family.grandchild, nullptr, nullptr) == 0) {
    ptrace(PTRACE_DETACH, family.grandchild, nullptr, nullptr);
  }
  EXPECT_EQ(waitid(P_PID, static_cast<id_t>(family.child), &info, WEXITED | WNOHANG | WNOWAIT), 0);
  EXPECT_EQ(info.si_pid, 0) << "the other one was not to die";
}

TEST(ProcessesBelow, KillsAllButTheOneAbove) {
  const Family family;
  KillBelow(family.child);
  while (ptrace(PTRACE_SEIZE, family.grandchild, nullptr, nullptr) == 0) {
    ptrace(PTRACE_DETACH, family.grandchild, nullptr, nullptr);
  }
  EXPECT_EQ(kill(family.child, 0), 0);
  EXPECT_EQ(waitpid(family.child, nullptr, WNOHANG), 0);
}

}  // namespace
}  // namespace baton
