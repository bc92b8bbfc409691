#include "engine/native/hidden_processes.h"

#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <optional>

#include "base/log.h"
#include "engine/native/thread_capture.h"
#include "proc/process_files.h"
#include "task/borrowed_task.h"

namespace baton {
namespace {

bool IsHidden(const FrozenProcess& process) {
  if (process.zombie) return false;
  const auto fds = ListFds(process.living_tid());
  return !fds && fds.error().saved_errno() == EACCES;
}

// One call of the process, made by its first living thread.
Result<int64_t> CallIn(const FrozenProcess& process, long number, uint64_t first, uint64_t second) {
  const FrozenTask& task = process.tasks.front();
  BATON_TRY(const RemoteMemory memory, RemoteMemory::Open(task.tid));
  BATON_TRY(const std::vector<MapsEntry> maps, ReadMaps(task.tid));
  BATON_TRY(const InjectionPlace place, InjectionPlace::Find(memory, maps));
  BATON_TRY(const ProcStatus status, ReadStatus(task.tid));
  BATON_TRY(const BorrowedTask::Thread thread, DescribeForBorrowing(status, status, task));
  std::optional<BorrowedTask> visit;
  BATON_CHECKED(BorrowedTask::Borrow(visit, memory, place, thread));
  BATON_TRY(const int64_t result, visit->calls().Call(number, first, second));
  BATON_CHECKED(visit->Return());
  return result;
}

}  // namespace

Result<> HiddenProcesses::Show(const std::vector<FrozenProcess>& processes) {
  for (const FrozenProcess& process : processes) {
    if (!IsHidden(process)) continue;
    // What runs by a setuid bit has 2 here (proc_sys_fs(5), suid_dumpable), which could not be put back.
    BATON_TRY(const int64_t dumpable, CallIn(process, SYS_prctl, PR_GET_DUMPABLE, 0));
    if (dumpable != 0) continue;
    BATON_CHECKED(CallIn(process, SYS_prctl, PR_SET_DUMPABLE, 1));
    shown_.push_back(process);
  }
  return {};
}

bool HiddenProcesses::Shown(pid_t living_tid) const {
  return std::ranges::find(shown_, living_tid, &FrozenProcess::living_tid) != shown_.end();
}

void HiddenProcesses::Hide() {
  for (const FrozenProcess& process : shown_) {
    const auto hidden = CallIn(process, SYS_prctl, PR_SET_DUMPABLE, 0);
    if (!hidden) BATON_LOG(kWarn, "process {} stays dumpable: {}", process.pid, hidden.error().ToString());
  }
  shown_.clear();
}

}  // namespace baton
