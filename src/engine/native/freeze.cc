#include "engine/native/freeze.h"

#include <time.h>

#include <algorithm>
#include <chrono>
#include <csignal>

#include "base/fault.h"
#include "base/log.h"
#include "engine/native/stop_task.h"
#include "engine/native/vfork_wait.h"
#include "proc/process_files.h"
#include "task/ptrace.h"

namespace baton {
namespace {

constexpr std::chrono::seconds kPatience{5};  // for processes that keep being born, or that take long to die
constexpr std::chrono::milliseconds kVforkPatience{100};  // others stand meanwhile
constexpr timespec kNap{0, 100'000};

// The first thread shows as dead as soon as it has ended; the process is dead once no other is left.
bool IsZombie(const ProcStat& stat) { return (stat.state == 'Z' || stat.state == 'X') && stat.num_threads <= 1; }

}  // namespace

// Until two looks agree, after everything that the first one showed was stopped: a list of children that is read while
// one of them dies may leave out another (children_seq_show()).
Result<FrozenUnit> FrozenUnit::Stop(const Lister& lister) {
  FrozenUnit unit;
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  unit.vfork_deadline_ = std::chrono::steady_clock::now() + kVforkPatience;
  std::vector<pid_t> before;
  while (true) {
    BATON_TRY(std::vector<pid_t> pids, lister());
    BATON_TRY(const bool found, unit.StopNew(pids));
    if (!found && pids == before) break;
    before = std::move(pids);
    if (std::chrono::steady_clock::now() > deadline) {
      return MakeError(ErrorCode::kUnavailable, "new processes keep showing up, or one takes long to end");
    }
  }
  BATON_CHECKED(unit.Settle(before));
  return unit;
}

// Whether anything may have changed: a new process or task, or one that is about to end.
Result<bool> FrozenUnit::StopNew(const std::vector<pid_t>& pids) {
  bool changed = false;
  spared_.clear();
  for (const pid_t pid : pids) {
    if (IsSpared(pid)) continue;
    auto known = std::ranges::find(processes_, pid, &FrozenProcess::pid);
    if (known == processes_.end()) {
      known = processes_.insert(processes_.end(), FrozenProcess{.pid = pid, .tasks = {}, .vforks = {}});
      changed = true;
    }
    BATON_TRY(const bool more, StopProcess(*known));
    changed = changed || more;
  }
  if (!spared_.empty()) nanosleep(&kNap, nullptr);
  return changed || !spared_.empty();
}

bool FrozenUnit::IsSpared(pid_t pid) {
  if (spared_.empty() || spared_.contains(pid)) return !spared_.empty();
  const auto stat = ReadStat(pid);
  if (!stat || stat->ppid == 0 || !spared_.contains(stat->ppid)) return false;
  spared_.insert(pid);
  return true;
}

Result<bool> FrozenUnit::StopProcess(FrozenProcess& process) {
  if (process.zombie) return false;
  BATON_TRY(const bool changed, StopTasks(process));
  if (!process.tasks.empty() || !process.vforks.empty()) return changed;
  const auto stat = ReadStat(process.pid);
  if (!stat) return false;  // gone
  process.zombie = IsZombie(*stat);
  if (!process.zombie) nanosleep(&kNap, nullptr);  // it is ending
  return true;
}

// Until a scan of the process' tasks shows none that does not stand.
Result<bool> FrozenUnit::StopTasks(FrozenProcess& process) {
  bool found = false;
  for (bool again = true; again; found = found || again) {
    again = false;
    auto tids = ListTasks(process.pid);
    if (!tids) return found;  // gone
    std::ranges::sort(
        *tids, [&](pid_t a, pid_t b) { return (a == process.pid) != (b == process.pid) ? a == process.pid : a < b; });
    for (const pid_t tid : *tids) {
      if (std::ranges::find(process.tasks, tid, &FrozenTask::tid) != process.tasks.end()) continue;
      if (std::ranges::find(process.vforks, tid, &VforkWait::tid) != process.vforks.end()) continue;
      BATON_TRY(const bool stopped, AddTask(process, tid));
      again = again || stopped;
    }
  }
  return found;
}

Result<bool> FrozenUnit::AddTask(FrozenProcess& process, pid_t tid) {
  FrozenTask task;
  task.tid = tid;
  writes_.LetEnd(process.pid, tid);
  auto outcome = StopTask(process.pid, task, clock_);
  if (!outcome) {
    unstopped_.push_back(task);
    return outcome.Fail();
  }
  if (*outcome == StopOutcome::kExitedLeader) process.leader_exited = true;
  if (*outcome == StopOutcome::kInVfork) return AddVfork(process, task);
  if (*outcome != StopOutcome::kStopped) return false;
  process.tasks.push_back(task);
  std::erase_if(unstopped_, [tid](const FrozenTask& other) { return other.tid == tid; });
  return true;
}

// For it to stand, its child must run: the next look finds it so.
bool FrozenUnit::AddVfork(FrozenProcess& process, const FrozenTask& task) {
  if (std::ranges::find(unstopped_, task.tid, &FrozenTask::tid) == unstopped_.end()) unstopped_.push_back(task);
  const std::optional<pid_t> child = VforkChild(process.pid, task.tid);
  if (!child) return true;
  if (std::chrono::steady_clock::now() < vfork_deadline_) {
    spared_.insert(*child);
    return false;
  }
  process.vforks.push_back({task.tid, *child});
  return true;
}

// Everything stands. What stood at first may have been killed by what did not stand yet, or have been replaced by an
// execve() of another thread; what was dead may have been waited for.
Result<> FrozenUnit::Settle(const std::vector<pid_t>& pids) {
  std::erase_if(processes_, [&](const FrozenProcess& process) {
    const bool listed = std::ranges::find(pids, process.pid) != pids.end();
    return process.tasks.empty() && process.vforks.empty() && !(process.zombie && listed && ReadStat(process.pid));
  });
  if (processes_.empty()) return MakeError(ErrorCode::kTaskGone, "no process is left");
  for (const FrozenProcess& process : processes_) {
    for (const FrozenTask& task : process.tasks) {
      if (!StandsUnchanged(task)) {
        return MakeError(ErrorCode::kUnavailable, "task {} of process {} ended while others were being stopped",
                         task.tid, process.pid);
      }
    }
  }
  return {};
}

bool FrozenUnit::AllStand() const {
  return std::ranges::all_of(processes_, [](const FrozenProcess& process) {
    return std::ranges::all_of(process.tasks,
                               [](const FrozenTask& task) { return GetRegisters(task.tid).has_value(); });
  });
}

void FrozenUnit::Resume() {
  for (const FrozenProcess& process : processes_) {
    for (const FrozenTask& task : process.tasks) LetGo(task);
  }
  processes_.clear();
  writes_.RestoreSizes();
  // Now that what they wait for runs again, they may stand.
  for (const FrozenTask& task : std::exchange(unstopped_, {})) LetGo(task);
}

Result<> FrozenUnit::Kill() {
  for (const FrozenProcess& process : processes_) {
    DiePoint();
    if (kill(process.pid, SIGKILL) != 0) BATON_LOG(kDebug, "process {} is gone already", process.pid);
  }
  // Other threads first: the kernel reports a leader only after them.
  for (FrozenProcess& process : processes_) {
    for (size_t i = process.tasks.size(); i > 0; --i) {
      const pid_t tid = process.tasks[i - 1].tid;
      while (true) {
        const auto status = WaitFor(tid);
        if (!status || status->Gone()) break;
      }
    }
  }
  processes_.clear();
  return {};
}

FrozenUnit::~FrozenUnit() { Resume(); }

}  // namespace baton
