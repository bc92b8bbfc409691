#include "proc/process_files.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <ctime>
#include <future>
#include <thread>

#include "base/unique_fd.h"

namespace baton {
namespace {

using testing::Contains;
using testing::ElementsAre;

// A child that waits until it is told to end; reaped in the destructor at the latest.
class Child {
 public:
  Child() : pid_(fork()) {
    if (pid_ == 0) {
      while (true) pause();
    }
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() {
    if (!reaped_) Reap();
  }

  pid_t pid() const { return pid_; }
  void BecomeZombie() const {
    kill(pid_, SIGKILL);
    siginfo_t info{};
    waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOWAIT);
  }
  void Reap() {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
    reaped_ = true;
  }

 private:
  pid_t pid_;
  bool reaped_ = false;
};

template <typename T>
ErrorCode CodeOf(const Result<T>& result) {
  EXPECT_FALSE(result);
  return result ? ErrorCode::kInternal : result.error().code();
}

TEST(ProcessFiles, OwnMemoryMap) {
  const int on_stack = 0;
  const auto address = reinterpret_cast<uint64_t>(&on_stack);
  const auto maps = ReadMaps(getpid());
  ASSERT_TRUE(maps) << maps.error().ToString();
  const auto holds = [&](const MapsEntry& entry) { return entry.start <= address && address < entry.end; };
  EXPECT_THAT(*maps, Contains(testing::Truly(holds)));
  const auto smaps = ReadSmaps(getpid());
  ASSERT_TRUE(smaps) << smaps.error().ToString();
  for (const SmapsEntry& entry : *smaps) {
    if (holds(entry.mapping)) {
      EXPECT_GT(entry.SizeKb("Rss"), 0U);
      EXPECT_TRUE(entry.HasFlag("wr"));
    }
  }
}

TEST(ProcessFiles, OwnStatAndStatus) {
  const auto stat = ReadStat(getpid());
  ASSERT_TRUE(stat) << stat.error().ToString();
  EXPECT_EQ(stat->pid, getpid());
  EXPECT_EQ(stat->ppid, getppid());
  EXPECT_EQ(stat->session, getsid(0));
  const auto status = ReadStatus(getpid(), static_cast<pid_t>(syscall(SYS_gettid)));
  ASSERT_TRUE(status) << status.error().ToString();
  EXPECT_EQ(status->tgid, getpid());
  EXPECT_EQ(status->uid[1], geteuid());
  EXPECT_EQ(status->state, 'R');
  EXPECT_EQ(ReadComm(getpid()).value(), status->name);
  EXPECT_EQ(stat->comm, status->name);
}

TEST(ProcessFiles, OfOneThread) {
  std::promise<pid_t> tid;
  std::promise<void> end;
  std::thread thread([&] {
    tid.set_value(static_cast<pid_t>(syscall(SYS_gettid)));
    end.get_future().wait();
  });
  const pid_t its_tid = tid.get_future().get();
  EXPECT_EQ(ReadStatus(getpid(), its_tid)->pid, its_tid);
  EXPECT_EQ(ReadStat(getpid(), its_tid)->pid, its_tid);
  EXPECT_TRUE(ReadSyscall(getpid(), its_tid));
  EXPECT_THAT(ListTasks(getpid()).value(), testing::IsSupersetOf({getpid(), its_tid}));
  end.set_value();
  thread.join();
}

TEST(ProcessFiles, OwnSyscallIsTheRead) { EXPECT_EQ(ReadSyscall(getpid())->number, SYS_read); }

TEST(ProcessFiles, Descriptors) {
  const UniqueFd event(eventfd(90, EFD_CLOEXEC));
  const auto info = ReadFdInfo(getpid(), event.get());
  ASSERT_TRUE(info) << info.error().ToString();
  EXPECT_EQ(info->flags & O_CLOEXEC, static_cast<unsigned>(O_CLOEXEC));
  ASSERT_NE(info->Find("eventfd-count"), nullptr);
  EXPECT_EQ(*info->Find("eventfd-count"), "5a");
  EXPECT_EQ(ReadFdLink(getpid(), event.get()).value(), "anon_inode:[eventfd]");
  EXPECT_THAT(ListFds(getpid()).value(), Contains(event.get()));
  EXPECT_EQ(CodeOf(ReadFdInfo(getpid(), 999999)), ErrorCode::kNotFound);
  EXPECT_EQ(CodeOf(ReadFdLink(getpid(), 999999)), ErrorCode::kNotFound);
}

TEST(ProcessFiles, Timers) {
  sigevent event{};
  event.sigev_notify = SIGEV_SIGNAL;
  event.sigev_signo = SIGUSR1;
  event.sigev_value.sival_int = 77;
  timer_t timer{};
  ASSERT_EQ(timer_create(CLOCK_MONOTONIC, &event, &timer), 0);
  const auto timers = ReadTimers(getpid());
  timer_delete(timer);
  ASSERT_TRUE(timers) << timers.error().ToString();
  ASSERT_EQ(timers->size(), 1U);
  EXPECT_EQ(timers->front().signal, SIGUSR1);
  EXPECT_EQ(timers->front().value & 0xffffffff, 77U);
  EXPECT_EQ(timers->front().target, getpid());
}

TEST(ProcessFiles, Limits) {
  rlimit files{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &files), 0);
  const auto limits = ReadLimits(getpid());
  ASSERT_TRUE(limits) << limits.error().ToString();
  const auto same = [&](const ProcLimit& limit) {
    return limit.name == "Max open files" && limit.soft == files.rlim_cur && limit.hard == files.rlim_max;
  };
  EXPECT_THAT(*limits, Contains(testing::Truly(same)));
  EXPECT_EQ(limits->size(), size_t{RLIM_NLIMITS});
}

TEST(ProcessFiles, Surroundings) {
  const auto mounts = ReadMountInfo(getpid());
  ASSERT_TRUE(mounts) << mounts.error().ToString();
  EXPECT_THAT(*mounts, Contains(testing::Field(&MountInfo::fs_type, "proc")));
  EXPECT_FALSE(ReadCgroup(getpid()).value().empty());
  EXPECT_TRUE(ReadTimensOffsets(getpid()));
  EXPECT_TRUE(ReadSched(getpid()));
  EXPECT_TRUE(AnySwap());
  EXPECT_THAT(ReadCmdline(getpid()).value().at(0), testing::HasSubstr("baton_proc_test"));
  EXPECT_THAT(ReadEnviron(getpid()).value(), Contains(testing::HasSubstr("=")));
  EXPECT_THAT(ReadProcessLink(getpid(), "exe").value(), testing::HasSubstr("baton_proc_test"));
  EXPECT_THAT(ReadProcessLink(getpid(), "ns/pid").value(), testing::StartsWith("pid:["));
}

TEST(ProcessFiles, ChildrenOfAllThreads) {
  Child first;
  std::promise<pid_t> second;
  std::promise<void> end;
  std::thread thread([&] {
    Child child;
    second.set_value(child.pid());
    end.get_future().wait();
  });
  const pid_t second_pid = second.get_future().get();
  EXPECT_THAT(ListChildren(getpid()).value(), testing::UnorderedElementsAre(first.pid(), second_pid));
  EXPECT_THAT(ListChildren(first.pid()).value(), ElementsAre());
  end.set_value();
  thread.join();
}

TEST(ProcessFiles, DeadProcessIsTaskGone) {
  Child child;
  child.Reap();
  const pid_t pid = child.pid();
  EXPECT_EQ(CodeOf(ReadMaps(pid)), ErrorCode::kTaskGone);
  EXPECT_EQ(CodeOf(ReadStatus(pid)), ErrorCode::kTaskGone);
  EXPECT_EQ(CodeOf(ReadStat(pid, pid)), ErrorCode::kTaskGone);
  EXPECT_EQ(CodeOf(ReadFdInfo(pid, 0)), ErrorCode::kTaskGone);
  EXPECT_EQ(CodeOf(ReadFdLink(pid, 0)), ErrorCode::kTaskGone);
  EXPECT_EQ(CodeOf(ReadProcessLink(pid, "exe")), ErrorCode::kTaskGone);
  EXPECT_EQ(CodeOf(ListTasks(pid)), ErrorCode::kTaskGone);
  EXPECT_EQ(CodeOf(ListFds(pid)), ErrorCode::kTaskGone);
  EXPECT_EQ(CodeOf(ListChildren(pid)), ErrorCode::kTaskGone);
  EXPECT_EQ(CodeOf(ReadStatus(getpid(), pid)), ErrorCode::kTaskGone);
  EXPECT_EQ(CodeOf(ReadProcessFile(getpid(), "no-such-file")), ErrorCode::kNotFound);
}

TEST(ProcessFiles, ZombieIsStillThere) {
  Child child;
  child.BecomeZombie();
  const pid_t pid = child.pid();
  EXPECT_EQ(ReadStatus(pid)->state, 'Z');
  EXPECT_EQ(ReadStat(pid)->state, 'Z');
  EXPECT_EQ(ReadMaps(pid)->size(), 0U);
  EXPECT_EQ(ReadTimers(pid)->size(), 0U);
  EXPECT_EQ(ReadCmdline(pid)->size(), 0U);
  EXPECT_FALSE(ReadLimits(pid)->empty());
  EXPECT_FALSE(ReadCgroup(pid)->empty());
  EXPECT_THAT(ListTasks(pid).value(), ElementsAre(pid));
  EXPECT_THAT(ListChildren(pid).value(), ElementsAre());
  // Its directories belong to root once its memory is gone.
  const auto fds = ListFds(pid);
  EXPECT_TRUE(fds ? fds->empty() : fds.error().saved_errno() == EACCES);
  EXPECT_NE(CodeOf(ReadFdInfo(pid, 0)), ErrorCode::kTaskGone);
  EXPECT_NE(CodeOf(ReadProcessLink(pid, "exe")), ErrorCode::kTaskGone);
  EXPECT_NE(CodeOf(ReadMountInfo(pid)), ErrorCode::kTaskGone);
}

}  // namespace
}  // namespace baton
