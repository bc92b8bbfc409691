// Live tests of the capsule, each as an ordinary user and, where the tests run as root, as root too. A case runs in a
// forked child, since the rootless one gives its rights up for good.
#include "capsule/capsule.h"

#include <dirent.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <filesystem>
#include <functional>
#include <sstream>

#include "base/file.h"
#include "base/test_dir.h"
#include "capsule/stub.h"

namespace baton {
namespace {

constexpr uid_t kNobody = 65534;

enum class As { kUser, kRoot };

// Runs `body` in a child with the wanted rights; its failed expectations fail this test.
void RunAs(As who, const std::function<void()>& body) {
  fflush(nullptr);
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    if (who == As::kUser && geteuid() == 0) {
      const bool dropped = setresgid(kNobody, kNobody, kNobody) == 0 && setresuid(kNobody, kNobody, kNobody) == 0;
      // The change made the process non-dumpable, and its /proc files root's.
      prctl(PR_SET_DUMPABLE, 1);
      if (!dropped) _exit(2);
    }
    body();
    fflush(nullptr);
    _exit(::testing::Test::HasFailure() ? 1 : 0);
  }
  int wait_status = 0;
  ASSERT_EQ(waitpid(child, &wait_status, 0), child);
  EXPECT_TRUE(WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == 0) << "wait status " << wait_status;
}

// A pipe for the job's stdout.
struct Pipe {
  UniqueFd read_end;
  UniqueFd write_end;
  static Pipe Make() {
    std::array<int, 2> ends{};
    EXPECT_EQ(pipe2(ends.data(), O_CLOEXEC), 0);
    return {UniqueFd(ends[0]), UniqueFd(ends[1])};
  }
};

CommandLine Shell(const std::string& script) {
  return {.argv = {"sh", "-c", script}, .env = {"PATH=/usr/bin:/bin"}, .cwd = "/"};
}

// Waits for the root's end and for init's.
int AwaitEnd(Capsule* capsule) {
  int root_status = -1;
  while (true) {
    auto event = capsule->NextEvent();
    if (!event) {
      ADD_FAILURE() << event.error().ToString();
      return -1;
    }
    if (!event->has_value()) {
      pollfd ready{.fd = capsule->event_fd(), .events = POLLIN, .revents = 0};
      poll(&ready, 1, -1);
      continue;
    }
    if ((*event)->kind == CapsuleEvent::Kind::kInitGone) return root_status;
    if ((*event)->ns_pid == 2) root_status = (*event)->wait_status;
  }
}

struct RunOutcome {
  std::string output;
  int wait_status = -1;
};

class CapsuleTest : public ::testing::TestWithParam<As> {
 protected:
  static CapsuleOptions Options() { return {.user_namespace = GetParam() == As::kUser}; }
  void InChild(const std::function<void()>& body) { RunAs(GetParam(), body); }

  // The script's output and end, in a capsule made from `options`.
  static RunOutcome Run(CapsuleOptions options, const std::string& script) {
    RunOutcome outcome;
    Pipe out = Pipe::Make();
    options.stdout_fd = out.write_end.get();
    auto capsule = Capsule::Create(options);
    if (!capsule) {
      ADD_FAILURE() << capsule.error().ToString();
      return outcome;
    }
    auto root = capsule->SpawnCommand(Shell(script));
    if (!root) {
      ADD_FAILURE() << root.error().ToString();
      return outcome;
    }
    EXPECT_EQ(root->ns_pid, 2);
    outcome.wait_status = AwaitEnd(&*capsule);
    {
      const UniqueFd closed = std::move(out.write_end);
    }
    outcome.output = ReadFd(out.read_end.get()).value_or("unreadable");
    return outcome;
  }
};

class UserCapsuleTest : public CapsuleTest {};
class RootCapsuleTest : public CapsuleTest {};

TEST_P(CapsuleTest, CommandIsPidTwoLeadsASessionAndSeesOnlyTheCapsule) {
  InChild([] {
    const RunOutcome run = Run(Options(), "echo $$; cut -d' ' -f6 /proc/self/stat; echo /proc/[0-9]*; id -u");
    EXPECT_EQ(WEXITSTATUS(run.wait_status), 0);
    EXPECT_EQ(run.output, fmt::format("2\n2\n/proc/1 /proc/2\n{}\n", geteuid()));
  });
}

TEST_P(CapsuleTest, CommandHasThreeDescriptorsAndDefaultSignals) {
  InChild([] {
    const UniqueFd leak_without_cloexec(dup(1));
    const RunOutcome run = Run(Options(), "exec ls /proc/self/fd; ");
    EXPECT_EQ(run.output, "0\n1\n2\n3\n") << "3 is the directory ls reads";
    const RunOutcome signals = Run(Options(), "exec sed -n '/^Sig[BIC]/p' /proc/self/status");
    EXPECT_EQ(signals.output, "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\nSigCgt:\t0000000000000000\n");
  });
}

TEST_P(CapsuleTest, ExitCodesAndSignalsAreReported) {
  InChild([] {
    EXPECT_EQ(WEXITSTATUS(Run(Options(), "exit 7").wait_status), 7);
    const RunOutcome killed = Run(Options(), "kill -KILL $$");
    EXPECT_TRUE(WIFSIGNALED(killed.wait_status));
    EXPECT_EQ(WTERMSIG(killed.wait_status), SIGKILL);
  });
}

TEST_P(CapsuleTest, MissingAndUnexecutableProgramsAreToldApart) {
  InChild([] {
    auto capsule = Capsule::Create(Options());
    ASSERT_TRUE(capsule) << capsule.error().ToString();
    auto missing = capsule->SpawnCommand({.argv = {"no-such-program"}, .env = {"PATH=/bin"}, .cwd = "/"});
    ASSERT_FALSE(missing);
    EXPECT_EQ(missing.error().code(), ErrorCode::kNotFound);
    auto not_executable = capsule->SpawnCommand({.argv = {"/etc/passwd"}, .env = {}, .cwd = "/"});
    ASSERT_FALSE(not_executable);
    EXPECT_EQ(not_executable.error().code(), ErrorCode::kNotSupported);
    auto no_cwd = capsule->SpawnCommand({.argv = {"/bin/true"}, .env = {}, .cwd = "/no-such-directory"});
    ASSERT_FALSE(no_cwd);
    EXPECT_EQ(no_cwd.error().code(), ErrorCode::kIo);
  });
}

TEST_P(CapsuleTest, HugeEnvironmentArrives) {
  InChild([] {
    Pipe out = Pipe::Make();
    CapsuleOptions options = Options();
    options.stdout_fd = out.write_end.get();
    auto capsule = Capsule::Create(options);
    ASSERT_TRUE(capsule) << capsule.error().ToString();
    CommandLine command = Shell("echo ${#BIG0} ${#BIG9}");
    for (int i = 0; i < 10; ++i) command.env.push_back(fmt::format("BIG{}={}", i, std::string(100'000, 'x')));
    auto root = capsule->SpawnCommand(command);
    ASSERT_TRUE(root) << root.error().ToString();
    AwaitEnd(&*capsule);
    {
      const UniqueFd closed = std::move(out.write_end);
    }
    EXPECT_EQ(ReadFd(out.read_end.get()).value_or(""), "100000 100000\n");
  });
}

TEST_P(CapsuleTest, MonotonicClockIsShifted) {
  InChild([] {
    constexpr int64_t kShift = 1'000'000;
    CapsuleOptions options = Options();
    options.monotonic_offset_ns = kShift * 1'000'000'000;
    options.boottime_offset_ns = kShift * 1'000'000'000;
    timespec before{};
    clock_gettime(CLOCK_BOOTTIME, &before);
    const RunOutcome run = Run(options, "cut -d. -f1 /proc/uptime");
    timespec after{};
    clock_gettime(CLOCK_BOOTTIME, &after);
    const long seen = std::stol(run.output) - kShift;
    EXPECT_GE(seen, before.tv_sec);
    EXPECT_LE(seen, after.tv_sec);
  });
}

TEST_P(CapsuleTest, OrphansAreReapedAndWhatIsLeftGetsSigterm) {
  InChild([] {
    // The orphan tells by a file that SIGTERM reached it; init ends only when it has.
    const TestDir directory;
    const std::string script = fmt::format(
        "(trap 'echo term > {0}/told; exit' TERM; echo up > {0}/up; while :; do sleep 0.01; done) & "
        "(true &) ; while [ ! -e {0}/up ]; do :; done; exit 3",
        directory.path());
    const RunOutcome run = Run(Options(), script);
    EXPECT_EQ(WEXITSTATUS(run.wait_status), 3);
    EXPECT_EQ(ReadFile(directory / "told").value_or("nothing"), "term\n");
  });
}

TEST_P(CapsuleTest, SignalsGoToTheJobsGroup) {
  InChild([] {
    Pipe out = Pipe::Make();
    CapsuleOptions options = Options();
    options.stdout_fd = out.write_end.get();
    auto capsule = Capsule::Create(options);
    ASSERT_TRUE(capsule) << capsule.error().ToString();
    EXPECT_FALSE(capsule->SignalJob(SIGTERM)) << "no job yet";
    ASSERT_TRUE(capsule->SpawnCommand(Shell("trap 'exit 9' INT; sleep 100 & echo up; wait")));
    std::array<char, 3> up{};
    ASSERT_TRUE(ReadExactly(out.read_end.get(), std::as_writable_bytes(std::span(up))));
    ASSERT_TRUE(capsule->SignalJob(SIGINT));  // interrupts wait
    EXPECT_EQ(WEXITSTATUS(AwaitEnd(&*capsule)), 9);
  });
}

TEST_P(CapsuleTest, PrivateTmpAndBindsReplaceWhatIsThere) {
  InChild([] {
    const TestDir made;
    const std::string& base = made.path();
    for (const char* name : {"/tmp", "/new", "/below"}) mkdir((base + name).c_str(), 0755);
    ASSERT_TRUE(WriteFile(base + "/new/file", "moved\n"));
    CapsuleOptions options = Options();
    options.private_tmp = base + "/tmp";
    options.binds = {{.from = base + "/new", .to = base + "/old/place"}, {.from = base + "/below", .to = "/tmp/x/y"}};
    const RunOutcome run =
        Run(options, fmt::format("cat {}/old/place/file; echo in > /tmp/mine; echo deep > /tmp/x/y/z; ls /tmp", base));
    EXPECT_EQ(run.wait_status, 0);
    if (base.starts_with("/tmp/")) {
      EXPECT_EQ(run.output, fmt::format("moved\n{}\nmine\nx\n", base.substr(5)));
    } else {
      EXPECT_EQ(run.output, "moved\nmine\nx\n");
      EXPECT_FALSE(std::filesystem::exists(base + "/old")) << "the mount point made is removed";
    }
    EXPECT_EQ(ReadFile(base + "/tmp/mine").value_or(""), "in\n");
    EXPECT_EQ(ReadFile(base + "/below/z").value_or(""), "deep\n");
  });
}

TEST_P(CapsuleTest, StubsGetTheWantedNumber) {
  InChild([] {
    auto capsule = Capsule::Create(Options());
    ASSERT_TRUE(capsule) << capsule.error().ToString();
    auto stub = capsule->SpawnStub(777);
    ASSERT_TRUE(stub) << stub.error().ToString();
    EXPECT_EQ(stub->ns_pid, 777);
    const std::string status = ReadFile(fmt::format("/proc/{}/status", stub->host_pid)).value_or("");
    EXPECT_NE(status.find("Name:\tbaton-stub"), std::string::npos) << status;
    EXPECT_NE(status.find(fmt::format("NSpid:\t{}\t777\n", stub->host_pid)), std::string::npos) << status;
    EXPECT_NE(status.find("SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\nSigCgt:\t0000000000000000"),
              std::string::npos)
        << status;
    auto taken = capsule->SpawnStub(777);
    ASSERT_FALSE(taken);
    EXPECT_EQ(taken.error().code(), ErrorCode::kConflict);
    auto any = capsule->SpawnStub(std::nullopt);
    ASSERT_TRUE(any);
    kill(any->host_pid, SIGKILL);
    pollfd ready{.fd = capsule->event_fd(), .events = POLLIN, .revents = 0};
    poll(&ready, 1, -1);
    auto event = capsule->NextEvent();
    ASSERT_TRUE(event && event->has_value());
    EXPECT_EQ((*event)->ns_pid, any->ns_pid);
    EXPECT_EQ(WTERMSIG((*event)->wait_status), SIGKILL);
  });
}

TEST_P(CapsuleTest, AWatchedStubIsTheJobsRoot) {
  InChild([] {
    auto capsule = Capsule::Create(Options());
    ASSERT_TRUE(capsule) << capsule.error().ToString();
    auto root = capsule->SpawnStub(2);
    auto other = capsule->SpawnStub(30);
    ASSERT_TRUE(root && other);
    ASSERT_TRUE(capsule->WatchRoot(2));
    kill(root->host_pid, SIGKILL);
    EXPECT_EQ(WTERMSIG(AwaitEnd(&*capsule)), SIGKILL) << "and the other stub is gone by SIGTERM, or this never ends";
  });
}

TEST_P(CapsuleTest, DestructorLeavesNothing) {
  InChild([] {
    std::optional<UniqueFd> init;
    std::optional<UniqueFd> job;
    {
      auto capsule = Capsule::Create(Options());
      ASSERT_TRUE(capsule) << capsule.error().ToString();
      auto root = capsule->SpawnCommand(Shell("trap '' TERM; while :; do sleep 100; done"));
      ASSERT_TRUE(root);
      init.emplace(static_cast<int>(syscall(SYS_pidfd_open, capsule->init_pid(), 0)));
      job.emplace(static_cast<int>(syscall(SYS_pidfd_open, root->host_pid, 0)));
    }
    for (const auto* pidfd : {&init, &job}) {
      pollfd ended{.fd = (*pidfd)->get(), .events = POLLIN, .revents = 0};
      EXPECT_EQ(poll(&ended, 1, 0), 1) << "already dead when the destructor returns";
    }
    EXPECT_EQ(waitpid(-1, nullptr, WNOHANG), -1);
    EXPECT_EQ(errno, ECHILD);
  });
}

TEST_P(CapsuleTest, KeeperKilledMeansEverythingIsGone) {
  InChild([] {
    Pipe told = Pipe::Make();
    const pid_t keeper = fork();
    if (keeper == 0) {
      auto capsule = Capsule::Create(Options());
      if (!capsule) _exit(1);
      auto root = capsule->SpawnCommand(Shell("(setsid sleep 1000 &); sleep 1000"));
      if (!root) _exit(1);
      const std::array<pid_t, 2> pids{capsule->init_pid(), root->host_pid};
      if (!WriteAll(told.write_end.get(), std::as_bytes(std::span(pids)))) _exit(1);
      while (true) pause();
    }
    std::array<pid_t, 2> pids{};
    ASSERT_TRUE(ReadExactly(told.read_end.get(), std::as_writable_bytes(std::span(pids))));
    const UniqueFd init(static_cast<int>(syscall(SYS_pidfd_open, pids[0], 0)));
    const UniqueFd job(static_cast<int>(syscall(SYS_pidfd_open, pids[1], 0)));
    kill(keeper, SIGKILL);
    waitpid(keeper, nullptr, 0);
    for (const UniqueFd* pidfd : {&job, &init}) {
      pollfd ended{.fd = pidfd->get(), .events = POLLIN, .revents = 0};
      EXPECT_EQ(poll(&ended, 1, 20'000), 1);
    }
  });
}

// Root can make any directory.
TEST_P(UserCapsuleTest, AnUnmakeableMountPointIsAClearError) {
  InChild([] {
    CapsuleOptions options = Options();
    options.binds = {{.from = "/usr", .to = "/no-such-root-directory/work"}};
    auto capsule = Capsule::Create(options);
    ASSERT_FALSE(capsule);
    EXPECT_EQ(capsule.error().code(), ErrorCode::kNotSupported);
    EXPECT_NE(capsule.error().ToString().find("/no-such-root-directory/work"), std::string::npos);
    options.binds = {{.from = "/no-such-source", .to = "/usr"}};
    auto sourceless = Capsule::Create(options);
    ASSERT_FALSE(sourceless);
    EXPECT_NE(sourceless.error().ToString().find("/no-such-source"), std::string::npos);
    EXPECT_EQ(waitpid(-1, nullptr, WNOHANG), -1) << "a failed Create leaves no child";
  });
}

// An ordinary user may not choose numbers outside a capsule.
TEST_P(RootCapsuleTest, LocalStubNeedsNoCapsule) {
  InChild([] {
    auto any = SpawnLocalStub(std::nullopt);
    ASSERT_TRUE(any) << any.error().ToString();
    auto taken = SpawnLocalStub(getpid());
    ASSERT_FALSE(taken);
    EXPECT_EQ(taken.error().code(), ErrorCode::kConflict);
    kill(*any, SIGKILL);
    EXPECT_EQ(waitpid(*any, nullptr, 0), *any);
    auto again = SpawnLocalStub(*any);
    ASSERT_TRUE(again) << again.error().ToString();
    EXPECT_EQ(*again, *any);
    kill(*again, SIGKILL);
    waitpid(*again, nullptr, 0);
  });
}

std::vector<As> Rights() { return geteuid() == 0 ? std::vector{As::kUser, As::kRoot} : std::vector{As::kUser}; }

std::vector<As> RightsOfRoot() { return geteuid() == 0 ? std::vector{As::kRoot} : std::vector<As>{}; }

std::string NameOf(const ::testing::TestParamInfo<As>& rights) { return rights.param == As::kUser ? "User" : "Root"; }

INSTANTIATE_TEST_SUITE_P(Rights, CapsuleTest, ::testing::ValuesIn(Rights()), NameOf);
INSTANTIATE_TEST_SUITE_P(Rights, UserCapsuleTest, ::testing::Values(As::kUser), NameOf);
INSTANTIATE_TEST_SUITE_P(Rights, RootCapsuleTest, ::testing::ValuesIn(RightsOfRoot()), NameOf);
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(RootCapsuleTest);

}  // namespace
}  // namespace baton
