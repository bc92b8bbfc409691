#include "engine/native/process_maker.h"

#include <sched.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <optional>
#include <set>
#include <vector>

#include "base/fault.h"
#include "base/log.h"
#include "engine/native/tree_nodes.h"
#include "resource/common/pty.h"
#include "tree/plan.h"

namespace baton {
namespace {

constexpr int kTries = 1000;  // numbers for a temporary process

// We adopt orphans while it lives.
class SubreaperScope {
 public:
  SubreaperScope() {
    prctl(PR_GET_CHILD_SUBREAPER, &before_);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
  }
  ~SubreaperScope() { prctl(PR_SET_CHILD_SUBREAPER, before_); }
  SubreaperScope(const SubreaperScope&) = delete;
  SubreaperScope& operator=(const SubreaperScope&) = delete;

 private:
  int before_ = 0;
};

// What a process can have died of, as wait(2) gives it.
bool IsExitStatus(int status) {
  constexpr int kCoreDumped = 0x80;
  constexpr int kHighest = 0xffff;
  if (status < 0 || status > kHighest) return false;
  if (WIFEXITED(status)) return (status & kCoreDumped) == 0;
  const int signal = status & 0x7f;
  for (const int harmless : {SIGCHLD, SIGCONT, SIGURG, SIGWINCH, SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU}) {
    if (signal == harmless) return false;
  }
  return (status >> 8) == 0 && signal <= SIGRTMAX;
}

// A core file would be a new one beside the old. A limit of 1 byte keeps the kernel from writing one and from starting
// the program that a core pattern may name (fs/coredump.c), which 0 does not. Where the limit cannot be raised to 1,
// not being dumpable does the same (core(5)), but hides the exit status from the next checkpoint of an ordinary user.
Result<> ForbidCore(RemoteSyscalls& calls) {
  BATON_TRY(const auto one_byte, calls.PutValue(rlimit{1, 1}));
  BATON_TRY(const int64_t limited, calls.Call(SYS_prlimit64, 0, RLIMIT_CORE, one_byte, 0));
  if (limited != 0) BATON_CHECKED(calls.Do("forbid core dumps", SYS_prctl, PR_SET_DUMPABLE, 0));
  return {};
}

Result<> PrepareZombie(BlankTask& task, const pb::ProcessRecord& process) {
  if (!IsExitStatus(process.exit_status())) {
    return MakeError(ErrorCode::kCorrupt, "zombie {}: exit status {:#x}", process.pid(), process.exit_status());
  }
  RemoteSyscalls& calls = task.calls();
  calls.ResetArguments();
  BATON_TRY(const auto name, calls.PutString(process.comm()));
  BATON_CHECKED(calls.Do("name a zombie", SYS_prctl, PR_SET_NAME, name));
  return ForbidCore(calls);
}

uint64_t CloneFlags(unsigned tables) {
  constexpr std::pair<Table, uint64_t> kFlags[] = {
      {kMemory, CLONE_VM}, {kActions, CLONE_SIGHAND}, {kFiles, CLONE_FILES}, {kDirectories, CLONE_FS}};
  uint64_t flags = 0;
  for (const auto& [table, flag] : kFlags) flags |= (tables & Bit(table)) != 0 ? flag : 0;
  return flags;
}

class ProcessMaker {
 public:
  ProcessMaker(const UnitImage& image, const BootArea& boot, const RestoreRequest& request, BlankProcesses& made,
               BlankThreads& threads, std::vector<SessionTerminal>& terminals)
      : image_(image),
        boot_(boot),
        request_(request),
        made_(made),
        threads_(threads),
        terminals_(terminals),
        used_(NumbersInUse(image)) {}
  Result<> MakeAll();

 private:
  Result<> CheckOutside() const;
  Result<> CarryOut(const TreeStep& step);
  Result<> GiveTerminal(pid_t leader);
  const pb::ProcessRecord* RecordOf(pid_t pid) const;
  Result<> Make(const TreeStep& step);
  Result<std::unique_ptr<BlankTask>> MakeTask(const TreeStep& step, pid_t number);
  Result<std::unique_ptr<BlankTask>> MakeRoot(pid_t number);
  Result<> SetPgid(const TreeStep& step);
  Result<> End(const TreeStep& step);
  Result<> EndThread(const TreeStep& step);
  RemoteSyscalls& CallsOf(pid_t pid) { return made_.at(pid)->calls(); }
  BlankTask& Task(pid_t number) { return made_.contains(number) ? *made_.at(number) : *threads_.at(number); }

  const UnitImage& image_;
  const BootArea& boot_;
  const RestoreRequest& request_;
  BlankProcesses& made_;  // temporary processes by the number in the plan
  BlankThreads& threads_;
  std::vector<SessionTerminal>& terminals_;
  std::vector<pid_t> used_;
  TreeOutside outside_;
  pid_t group_of_roots_ = 0;  // what outside_.group is here
  std::set<pid_t> any_number_;
};

Result<> ProcessMaker::CheckOutside() const {
  if (!outside_.session || request_.shell_job) return {};
  return MakeError(ErrorCode::kNotSupported,
                   "the unit was in session {}, which is not part of the image: allow the restoring shell's own with "
                   "--shell-job",
                   *outside_.session);
}

Result<> ProcessMaker::MakeAll() {
  outside_ = OutsideOf(image_.unit, image_.processes, request_.reaper_ns_pid);
  BATON_CHECKED(CheckOutside());
  const std::vector<TreeNode> nodes = TreeNodesOf(image_.processes, outside_.reaper);
  BATON_TRY(const TreePlan plan, PlanTree(nodes, outside_, used_));
  for (const TemporaryProcess& temporary : plan.temporaries) {
    if (temporary.any_number) any_number_.insert(temporary.pid);
  }
  std::optional<SubreaperScope> adopting;
  if (plan.reaper_adopts && !request_.in_capsule) adopting.emplace();
  for (const TreeStep& step : plan.steps) BATON_CHECKED(CarryOut(step));
  for (const pb::ProcessRecord& process : image_.processes) {
    if (process.zombie()) BATON_CHECKED(PrepareZombie(*made_.at(process.pid()), process));
  }
  return {};
}

Result<> ProcessMaker::CarryOut(const TreeStep& step) {
  switch (step.kind) {
    case TreeStep::Kind::kFork:
    case TreeStep::Kind::kThread:
      return Make(step);
    case TreeStep::Kind::kUnshare:
      BATON_CHECKED(FailPoint("restore.unshare"));
      BATON_CHECKED(CallsOf(step.pid).Do("unshare", SYS_unshare, CloneFlags(step.shares)));
      return {};
    case TreeStep::Kind::kEndThread:
      return EndThread(step);
    case TreeStep::Kind::kSetSid:
      BATON_CHECKED(FailPoint("restore.setsid"));
      BATON_CHECKED(CallsOf(step.pid).Do("setsid", SYS_setsid));
      return GiveTerminal(step.pid);
    case TreeStep::Kind::kSetPgid:
      return SetPgid(step);
    case TreeStep::Kind::kSetSubreaper:
      BATON_CHECKED(CallsOf(step.pid).Do("PR_SET_CHILD_SUBREAPER", SYS_prctl, PR_SET_CHILD_SUBREAPER, step.on ? 1 : 0));
      return {};
    case TreeStep::Kind::kExit:
      return End(step);
  }
  return {};
}

const pb::ProcessRecord* ProcessMaker::RecordOf(pid_t pid) const {
  const auto found =
      std::ranges::find(image_.processes, pid, [](const pb::ProcessRecord& record) { return record.pid(); });
  return found == image_.processes.end() ? nullptr : &*found;
}

// Its children to come inherit it, and nothing else would give it to them.
Result<> ProcessMaker::GiveTerminal(pid_t leader) {
  const pb::ProcessRecord* record = RecordOf(leader);
  if (record == nullptr || record->terminal() == 0) return {};
  BATON_CHECKED(FailPoint("restore.terminal"));
  BATON_TRY(const Pty pty, OpenPty(CallsOf(leader), record->terminal() - 1));
  if (pty.number != record->terminal() - 1) {
    BATON_LOG(kWarn, "/dev/pts/{} is taken here: it is {} now", record->terminal() - 1, pty.number);
  }
  BATON_CHECKED(CallsOf(leader).Do("controlling terminal", SYS_ioctl, pty.slave, TIOCSCTTY, 0));
  terminals_.push_back({record->terminal() - 1, leader, pty.master, pty.slave});
  return {};
}

Result<> ProcessMaker::Make(const TreeStep& step) {
  const bool any_number = any_number_.contains(step.pid);
  pid_t number = step.pid;
  for (int attempt = 1;; ++attempt) {
    auto task = MakeTask(step, number);
    if (task) {
      (step.kind == TreeStep::Kind::kThread ? threads_ : made_)[step.pid] = std::move(*task);
      return {};
    }
    const bool again = any_number && task.error().code() == ErrorCode::kConflict && attempt < kTries;
    if (!again) return task.Fail("{} {}", step.kind == TreeStep::Kind::kThread ? "thread" : "process", step.pid);
    do {
      --number;
    } while (std::ranges::binary_search(used_, number));
  }
}

// What is shared is shared from birth on, so the right task must give birth (tree/sharing.h).
Result<std::unique_ptr<BlankTask>> ProcessMaker::MakeTask(const TreeStep& step, pid_t number) {
  if (step.by == 0 && step.other == outside_.reaper) return MakeRoot(number);
  BlankTask& maker = Task(step.by == 0 ? step.other : step.by);
  const uint64_t shared = CloneFlags(step.shares);
  if (step.kind == TreeStep::Kind::kThread) return BlankTask::Clone(maker, number, shared & (CLONE_FILES | CLONE_FS));
  return BlankTask::Fork(maker, number, {shared | (step.as_brother ? CLONE_PARENT : 0U), step.exit_signal});
}

Result<std::unique_ptr<BlankTask>> ProcessMaker::MakeRoot(pid_t number) {
  BATON_TRY(const pid_t host_pid, request_.spawner->SpawnStub(number));
  auto task = BlankTask::TakeStub(host_pid, number, boot_);
  if (!task) return task;
  if (outside_.group && group_of_roots_ == 0) {
    BATON_TRY(const int64_t group, (*task)->calls().Do("getpgid", SYS_getpgid, 0));
    group_of_roots_ = static_cast<pid_t>(group);
  }
  return task;
}

Result<> ProcessMaker::SetPgid(const TreeStep& step) {
  BATON_CHECKED(FailPoint("restore.setpgid"));
  const pid_t group = step.other == outside_.group ? group_of_roots_ : made_.at(step.other)->ns_pid();
  if (group == 0) {  // to setpgid() that would mean a group of its own
    return MakeError(ErrorCode::kNotSupported,
                     "process {} must go back to the group of the restoring shell, which is in another pid namespace",
                     step.pid);
  }
  BATON_CHECKED(CallsOf(step.pid).Do("setpgid", SYS_setpgid, 0, group));
  return {};
}

// Its parent is blank and waits for nobody by itself. Children of the reaper are reaped by that: by us, as its tracer
// and parent in one, or by the capsule's init.
Result<> ProcessMaker::End(const TreeStep& step) {
  BATON_CHECKED(FailPoint("restore.end_temporary"));
  BlankTask& task = *made_.at(step.pid);
  const pid_t number = task.ns_pid();
  BATON_CHECKED(task.Exit(0));
  made_.erase(step.pid);
  if (step.other == outside_.reaper) return {};
  BATON_CHECKED(CallsOf(step.other).Do("wait4", SYS_wait4, number, 0, __WALL, 0));
  return {};
}

Result<> ProcessMaker::EndThread(const TreeStep& step) {
  BATON_CHECKED(FailPoint("restore.end_thread"));
  BATON_CHECKED(threads_.at(step.pid)->ExitThread());
  threads_.erase(step.pid);
  return {};
}

}  // namespace

Result<> MakeProcesses(const UnitImage& image, const BootArea& boot, const RestoreRequest& request,
                       BlankProcesses& made, BlankThreads& threads, std::vector<SessionTerminal>& terminals) {
  BATON_CHECKED(FailPoint("restore.processes"));
  return ProcessMaker(image, boot, request, made, threads, terminals).MakeAll();
}

}  // namespace baton
