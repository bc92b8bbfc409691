#include "engine/native/freeze.h"

#include <time.h>

#include <algorithm>
#include <chrono>
#include <csignal>

#include "base/fault.h"
#include "base/log.h"
#include "engine/native/stop_task.h"
#include "proc/process_files.h"
#include "task/ptrace.h"

namespace baton {
namespace {

constexpr std::chrono::seconds kPatience{5};  // for processes that keep being born, or that take long to die
constexpr timespec kNap{0, 100'000};

// The first thread shows as dead as soon as it has ended; the process is dead once no other is left.
bool IsZombie(const ProcStat& stat) { return (stat.state == 'Z' || stat.state == 'X') && stat.num_threads <= 1; }

}  // namespace

// Until two looks agree, after everything that the first one showed was stopped: a list of children that is read while
// one of them dies may leave out another (children_seq_show()).
Result<FrozenUnit> FrozenUnit::Stop(const Lister& lister) {
  FrozenUnit unit;
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
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
  for (const pid_t pid : pids) {
    auto known = std::ranges::find(processes_, pid, &FrozenProcess::pid);
    if (known == processes_.end()) {
      known = processes_.insert(processes_.end(), FrozenProcess{.pid = pid, .tasks = {}});
      changed = true;
    }
    BATON_TRY(const bool more, StopProcess(*known));
    changed = changed || more;
  }
  return changed;
}

Result<bool> FrozenUnit::StopProcess(FrozenProcess& process) {
  if (process.zombie) return false;
  BATON_TRY(const bool changed, StopTasks(process));
  if (!process.tasks.empty()) return changed;
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
  if (*outcome != StopOutcome::kStopped) return false;
  process.tasks.push_back(task);
  return true;
}

// Everything stands. What stood at first may have been killed by what did not stand yet, or have been replaced by an
// execve() of another thread; what was dead may have been waited for.
Result<> FrozenUnit::Settle(const std::vector<pid_t>& pids) {
  std::erase_if(processes_, [&](const FrozenProcess& process) {
    const bool listed = std::ranges::find(pids, process.pid) != pids.end();
    return process.tasks.empty() && !(process.zombie && listed && ReadStat(process.pid));
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
