#include "engine/native/unit_restore.h"

#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <algorithm>
#include <csignal>
#include <cstring>

#include "base/fault.h"
#include "base/log.h"
#include "engine/native/control_groups.h"
#include "engine/native/credentials.h"
#include "engine/native/interrupted_call.h"
#include "engine/native/ipc_limits.h"
#include "engine/native/job_control.h"
#include "engine/native/machine.h"
#include "engine/native/seccomp.h"
#include "engine/native/thread_capture.h"
#include "engine/native/thread_restore.h"
#include "proc/process_files.h"
#include "task/borrowed_task.h"
#include "task/ptrace.h"

namespace baton {

Result<> NativeRestore::Load() {
  BATON_TRY(image_, LoadUnitImage(*request_.image));
  BATON_CHECKED(CheckMachine(image_.unit));
  BATON_TRY(boot_, ChooseBootArea(image_));
  owners_ = TableOwners(image_.processes);
  files_ = FilesOfTasks(image_.processes, owners_);
  return {};
}

Result<> NativeRestore::Rebuild() {
  BATON_CHECKED(FailPoint("restore.begin"));
  std::vector<SessionTerminal> terminals;
  BATON_CHECKED(MakeProcesses(image_, boot_, request_, blanks_, apart_, terminals));
  for (const pb::ProcessRecord& record : image_.processes) {
    if (record.zombie()) continue;
    // Before threads and memory, which are charged to it. A capsule belongs where it was started.
    if (!request_.in_capsule) BATON_CHECKED(ReturnToCgroups(blanks_.at(record.pid())->host_pid(), record));
    BATON_CHECKED(MakeThreads(record));
  }
  root_host_pid_ = blanks_.at(static_cast<pid_t>(image_.unit.root_pid()))->host_pid();
  BATON_TRY(holder_, Holder::Make(*request_.spawner, NumbersInUse(image_), boot_, image_, blanks_));
  if (!request_.in_capsule) holder_->set_undos(&undos_);
  BATON_CHECKED(RestoreIpcLimits(root_host_pid_, image_.unit, IpcLimits::kOfObjects));
  BATON_CHECKED(holder_->PassSegments(*request_.image));
  BATON_CHECKED(holder_->FetchTerminals(terminals));
  BATON_CHECKED(holder_->MakeOpenFiles(request_.externals));
  BATON_CHECKED(holder_->MakeSharedMemory(*request_.image));
  sysv_ = std::make_unique<SysvRestore>(image_.sysv, *request_.image, *holder_, request_.in_capsule);
  BATON_CHECKED(sysv_->Make());
  for (const pb::ProcessRecord& record : image_.processes) {
    Member& member = members_[record.pid()];
    member.record = &record;
    member.threads.insert(member.threads.begin(), std::move(blanks_.at(record.pid())));
    if (record.zombie()) continue;
    if (auto rebuilt = RebuildMemory(member); !rebuilt) return rebuilt.Fail("process {}", record.pid());
  }
  blanks_.clear();
  BATON_CHECKED(sysv_->MarkRemoved());
  BATON_CHECKED(RestoreIpcLimits(root_host_pid_, image_.unit, IpcLimits::kOfOrphans));
  // Not before all memory is in place: that takes descriptors for a moment, and tables may be shared.
  for (const pb::ProcessRecord& record : image_.processes) {
    if (record.zombie()) continue;
    if (auto rebuilt = RebuildProcess(members_.at(record.pid())); !rebuilt) {
      return rebuilt.Fail("process {}", record.pid());
    }
  }
  BATON_CHECKED(ArmAll());
  holder_.reset();
  BATON_CHECKED(EndZombies());
  // Children first: a parent is told of what happens to them while its signals are still ours to sort.
  for (auto record = image_.processes.rbegin(); record != image_.processes.rend(); ++record) {
    if (record->zombie()) continue;
    if (auto done = FinishProcess(members_.at(record->pid())); !done) return done.Fail("process {}", record->pid());
  }
  return FailPoint("restore.done");
}

Result<> NativeRestore::RebuildMemory(Member& member) {
  BlankTask& leader = *member.threads.front();
  const pb::ProcessRecord& record = *member.record;
  leader.calls().ResetArguments();
  BATON_CHECKED(leader.calls().Do("close", SYS_close_range, 0, ~0U, 0));
  if (!owners_.OwnsMemory(record)) return {};
  BATON_CHECKED(RestoreMemory(leader, record, *request_.image, holder_->sources()));
  return record.removed_exe() == 0 ? RestoreLayout(leader, record) : Result<>{};
}

Result<> NativeRestore::RebuildProcess(Member& member) {
  BlankTask& leader = *member.threads.front();
  const pb::ProcessRecord& record = *member.record;
  BATON_CHECKED(RebuildTables(member));
  for (size_t i = 0; i < member.threads.size(); ++i) {
    BATON_CHECKED(RestoreInsideThread(*member.threads[i], record.threads(static_cast<int>(i))));
  }
  return RestoreInsideProcess(leader, record);
}

Result<> NativeRestore::RebuildTables(Member& member) {
  BlankTask& leader = *member.threads.front();
  const pb::ProcessRecord& record = *member.record;
  BATON_CHECKED(RestoreDescriptors(leader, files_.at(record.pid()), *holder_));
  if (owners_.OwnsActions(record)) BATON_CHECKED(RestoreActions(leader, record));
  if (owners_.OwnsDirectories(record.directories_table(), record.pid()))
    BATON_CHECKED(RestoreDirectories(leader, record));
  for (const pb::ApartThreadRecord& thread : record.apart_threads()) BATON_CHECKED(RebuildApartThread(member, thread));
  return {};
}

// Its descriptors are still those that its process had when it was made.
Result<> NativeRestore::RebuildApartThread(Member& member, const pb::ApartThreadRecord& record) {
  const auto thread = std::ranges::find(member.threads, record.tid(), &BlankTask::ns_tid);
  BlankTask& task = **thread;
  if (owners_.OwnsFiles(record.files_table(), record.tid())) {
    BATON_CHECKED(task.calls().Do("close", SYS_close_range, 0, ~0U, 0));
  }
  BATON_CHECKED(RestoreDescriptors(task, files_.at(record.tid()), *holder_));
  if (!owners_.OwnsDirectories(record.directories_table(), record.tid())) return {};
  return RestoreDirectories(task, record);
}

// Before the open files: those of /proc may speak of a thread.
Result<> NativeRestore::MakeThreads(const pb::ProcessRecord& record) {
  BATON_CHECKED(RestoreLoginUid(*blanks_.at(record.pid()), record));
  for (int i = 1; i < record.threads_size(); ++i) {
    const pid_t tid = record.threads(i).tid();
    if (auto apart = apart_.extract(tid)) {
      members_[record.pid()].threads.push_back(std::move(apart.mapped()));
      continue;
    }
    auto thread = BlankTask::Clone(*blanks_.at(record.pid()), tid);
    if (!thread) return thread.Fail("process {}", record.pid());
    members_[record.pid()].threads.push_back(std::move(*thread));
  }
  return {};
}

Result<> NativeRestore::ArmAll() {
  BATON_CHECKED(FailPoint("restore.arm"));
  for (const auto& kind : AllKinds()) {
    for (const pb::OpenFileRecord& file : image_.files) {
      if (!file.external().empty() || file.kind() != kind->Name()) continue;
      if (auto armed = kind->Arm(file.payload(), UsersOf(file.id()), *this); !armed) {
        return armed.Fail("open file {} ({})", file.id(), file.kind());
      }
    }
  }
  return {};
}

std::vector<FdUser> NativeRestore::UsersOf(uint32_t open_file) const {
  std::vector<FdUser> users;
  for (const pb::ProcessRecord& process : image_.processes) {
    for (const pb::DescriptorRecord& descriptor : process.descriptors()) {
      if (descriptor.open_file() != open_file) continue;
      users.push_back({process.pid(), descriptor.fd(), descriptor.close_on_exec()});
    }
    for (const pb::ApartThreadRecord& thread : process.apart_threads()) {
      for (const pb::DescriptorRecord& descriptor : thread.descriptors()) {
        if (descriptor.open_file() != open_file) continue;
        users.push_back({thread.tid(), descriptor.fd(), descriptor.close_on_exec()});
      }
    }
  }
  return users;
}

Result<RemoteSyscalls*> NativeRestore::Process(pid_t ns_pid) {
  BlankTask* const task = Task(ns_pid);
  if (task == nullptr) return MakeError(ErrorCode::kCorrupt, "there is no process {}", ns_pid);
  task->calls().ResetArguments();
  return &task->calls();
}

// A process that lives, or a thread that stands apart.
BlankTask* NativeRestore::Task(pid_t number) {
  if (!files_.contains(number)) return nullptr;
  if (const auto member = members_.find(number); member != members_.end()) return member->second.threads.front().get();
  for (const auto& [pid, member] : members_) {
    const auto thread = std::ranges::find(member.threads, number, &BlankTask::ns_tid);
    if (thread != member.threads.end()) return thread->get();
  }
  return nullptr;
}

RemoteSyscalls& NativeRestore::holder() {
  RemoteSyscalls& calls = holder_->holder();
  calls.ResetArguments();
  return calls;
}

Result<> NativeRestore::EndZombies() {
  BATON_CHECKED(FailPoint("restore.zombies"));
  for (auto& [pid, member] : members_) {
    if (member.record->zombie()) BATON_CHECKED(member.threads.front()->Exit(member.record->exit_status()));
  }
  return {};
}

// From here on each step may only be followed by those below it; see thread_restore.h.
Result<> NativeRestore::FinishProcess(Member& member) {
  const pb::ProcessRecord& record = *member.record;
  BlankTask& leader = *member.threads.front();
  // Not before: the holder had it open for writing.
  if (record.removed_exe() != 0) BATON_CHECKED(RestoreLayoutWith(leader, record, files_.at(record.pid()).free_number));
  for (const pb::ProcessRecord& child : image_.processes) {
    if (child.stopped() && child.ppid() == record.pid()) BATON_CHECKED(TakeStopAgain(leader.calls(), child));
  }
  BATON_CHECKED(RestoreSeccomp(member.threads, record));
  for (size_t i = 0; i < member.threads.size(); ++i) {
    BATON_CHECKED(DropPending(*member.threads[i]));
    BATON_CHECKED(RestoreCredentials(*member.threads[i], record, record.threads(static_cast<int>(i))));
  }
  // A change of user takes it away, and with it what we may see of the process; see RemoveBootArea for the other way.
  BATON_CHECKED(leader.calls().Do("make it dumpable", SYS_prctl, PR_SET_DUMPABLE, 1));
  BATON_CHECKED(RestoreTimers(leader, record));
  BATON_CHECKED(RestorePending(leader, record));
  for (size_t i = 0; i < member.threads.size(); ++i) {
    const pb::ThreadRecord& thread = record.threads(static_cast<int>(i));
    if (thread.exited()) {
      BATON_CHECKED(leader.EndAlone(thread.exit_status()));
      continue;
    }
    BATON_CHECKED(RestoreThreadPending(*member.threads[i], record, thread));
    std::optional<int64_t> result;
    if (thread.has_interrupted()) BATON_CHECKED(TakeUpCall(*member.threads[i], thread, result));
    BATON_CHECKED(FinishThread(*member.threads[i], thread, result));
  }
  // The first of those that share memory is finished last.
  if (owners_.OwnsMemory(record)) BATON_CHECKED(RemoveBootArea(member));
  return record.stopped() ? StopAgain(member.threads, record) : Result<>{};
}

Result<> NativeRestore::TakeUpCall(BlankTask& thread, const pb::ThreadRecord& record, std::optional<int64_t>& result) {
  BATON_TRY(result, RearmInterruptedCall(thread, record.interrupted()));
  BATON_TRY(const ProcStat stat, ReadStat(thread.host_pid(), thread.host_tid()));
  Registers registers;
  std::memcpy(&registers.raw, record.registers().data(), sizeof registers.raw);
  call_memory_.Remember(thread.host_tid(), RememberedCall(record.interrupted(), registers, stat.starttime));
  return {};
}

// The last call in the process is made from its own vDSO, in a thread that is whole already.
Result<> NativeRestore::RemoveBootArea(Member& member) {
  BATON_CHECKED(FailPoint("restore.remove_boot"));
  const BlankTask& living = member.record->threads(0).exited() ? *member.threads.back() : *member.threads.front();
  BATON_TRY(const std::vector<MapsEntry> maps, ReadMaps(living.host_tid()));
  BATON_TRY(const InjectionPlace place, InjectionPlace::Find(living.memory(), maps));
  BATON_TRY(const ProcStatus status, ReadStatus(living.host_tid()));
  FrozenTask task;
  task.tid = living.host_tid();
  BATON_TRY(task.registers, GetRegisters(task.tid));
  BATON_TRY(const BorrowedTask::Thread thread, DescribeForBorrowing(status, status, task));
  std::optional<BorrowedTask> visit;
  BATON_CHECKED(BorrowedTask::Borrow(visit, living.memory(), place, thread));
  BATON_CHECKED(visit->calls().Do("unmap the boot area", SYS_munmap, boot_.start.value(), BootArea::kBytes));
  // Not before: it takes away our own sight of the process.
  if (member.record->dumpable() != 1) BATON_CHECKED(visit->calls().Call(SYS_prctl, PR_SET_DUMPABLE, 0));
  return visit->Return();
}

Result<> NativeRestore::Go() {
  BATON_CHECKED(FailPoint("restore.go"));
  // Children first: what a parent looks at is then as it will stay.
  for (auto record = image_.processes.rbegin(); record != image_.processes.rend(); ++record) {
    if (record->zombie()) continue;
    const Member& member = members_.at(record->pid());
    for (size_t i = record->threads(0).exited() ? 1 : 0; i < member.threads.size(); ++i) {
      const auto& thread = member.threads[i];
      if (auto detached = Detach(thread->host_tid()); !detached) BATON_LOG(kWarn, "{}", detached.error().ToString());
    }
  }
  gone_ = true;
  sysv_->Keep();
  undos_.clear();
  call_memory_.Save();
  return {};
}

pid_t NativeRestore::root_pid() const { return root_host_pid_; }

void NativeRestore::KillAll() {
  for (auto& [pid, blank] : blanks_) {
    std::vector<std::unique_ptr<BlankTask>>& threads = members_[pid].threads;
    if (blank) threads.insert(threads.begin(), std::move(blank));
  }
  for (const auto& [pid, member] : members_) {
    if (!member.threads.empty()) kill(member.threads.front()->host_pid(), SIGKILL);
  }
  const auto reap = [](const BlankTask& task) {
    while (true) {
      const auto status = WaitFor(task.host_tid());
      if (!status || status->Gone()) return;
    }
  };
  for (const auto& [tid, thread] : apart_) reap(*thread);
  for (const auto& [pid, member] : members_) {
    for (size_t i = member.threads.size(); i > 0; --i) reap(*member.threads[i - 1]);
  }
}

NativeRestore::~NativeRestore() {
  holder_.reset();
  if (!gone_) KillAll();
  sysv_.reset();  // not while something is attached
  for (const auto& undo : undos_) undo();
}

}  // namespace baton
