#include "engine/native/process_capture.h"

#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>

#include "base/fault.h"
#include "base/file.h"
#include "engine/native/control_groups.h"
#include "engine/native/credentials.h"
#include "engine/native/seccomp.h"
#include "proc/process_files.h"
#include "task/ptrace.h"

namespace baton {
namespace {

constexpr size_t kLimits = 16;  // RLIM_NLIMITS

pid_t Innermost(const std::vector<pid_t>& numbers, pid_t fallback) {
  return numbers.empty() ? fallback : numbers.back();
}

Result<> CheckNamespaces(pid_t pid, pid_t root_pid) {
  for (const char* name : {"user", "mnt", "pid", "ipc", "uts", "net", "time", "cgroup"}) {
    auto own = ReadProcessLink(pid, fmt::format("ns/{}", name));
    auto roots = ReadProcessLink(root_pid, fmt::format("ns/{}", name));
    if (!own || !roots || *own == *roots) continue;
    return MakeError(
        ErrorCode::kNotSupported,
        "process {} is in another {} namespace than the first process of the unit; that cannot be saved yet", pid,
        name);
  }
  return {};
}

bool SameNamespace(pid_t a, pid_t b, std::string_view name) {
  const auto of_a = ReadProcessLink(a, fmt::format("ns/{}", name));
  const auto of_b = ReadProcessLink(b, fmt::format("ns/{}", name));
  return !of_a || !of_b || *of_a == *of_b;
}

// A restore puts the unit into the namespaces of who restores it, or makes a capsule's anew (with a pid namespace of
// its own). What else it lives in would be lost without a word.
Result<> CheckOuterNamespaces(pid_t root_pid) {
  std::vector<std::string_view> lost{"net", "cgroup"};
  if (SameNamespace(root_pid, getpid(), "pid")) lost.insert(lost.end(), {"user", "mnt", "ipc", "uts", "time"});
  for (const std::string_view name : lost) {
    if (SameNamespace(root_pid, getpid(), name)) continue;
    return MakeError(ErrorCode::kNotSupported,
                     "process {} is in a {} namespace of its own, which cannot be saved yet; where it is to stay in "
                     "that one, run baton there too (nsenter)",
                     root_pid, name);
  }
  return {};
}

Result<> CaptureIdentity(const FrozenProcess& process, pb::ProcessRecord& record) {
  BATON_CHECKED(FailPoint("capture.identity"));
  const pid_t tid = process.living_tid();
  BATON_TRY(const ProcStatus status, ReadStatus(tid));
  record.set_pid(Innermost(status.ns_tgid, status.tgid));
  record.set_pgid(Innermost(status.ns_pgid, 0));
  record.set_sid(Innermost(status.ns_sid, 0));
  record.set_comm(status.name);
  if (status.umask) record.set_umask(*status.umask);
  const auto parent = ReadStatus(status.ppid);
  record.set_ppid(parent ? Innermost(parent->ns_tgid, parent->tgid) : 0);
  *record.mutable_credentials() = CredentialsOf(status);
  return {};
}

// /proc/PID/limits lists them in the order of their numbers; prlimit(2) on another user's process would need
// CAP_SYS_RESOURCE, which root does not have everywhere.
Result<> CaptureLimits(pid_t pid, pb::ProcessRecord& record) {
  BATON_TRY(const std::vector<ProcLimit> limits, ReadLimits(pid));
  for (size_t resource = 0; resource < limits.size() && resource < kLimits; ++resource) {
    pb::LimitRecord* out = record.add_limits();
    out->set_resource(static_cast<int32_t>(resource));
    out->set_soft(limits[resource].soft);
    out->set_hard(limits[resource].hard);
  }
  return {};
}

Result<> CaptureDirectories(pid_t pid, pb::ProcessRecord& record) {
  BATON_TRY(const std::string cwd, ReadProcessLink(pid, "cwd"));
  BATON_TRY(const std::string root, ReadProcessLink(pid, "root"));
  BATON_TRY(const std::string exe, ReadProcessLink(pid, "exe"));
  record.set_cwd(cwd);
  record.set_root(root == "/" ? "" : root);
  record.set_exe(exe);
  return {};
}

Result<> CaptureLayout(pid_t pid, const ProcStat& stat, pb::ProcessRecord& record) {
  pb::MemoryLayoutRecord* layout = record.mutable_layout();
  layout->set_start_code(stat.startcode);
  layout->set_end_code(stat.endcode);
  layout->set_start_data(stat.start_data);
  layout->set_end_data(stat.end_data);
  layout->set_start_brk(stat.start_brk);
  layout->set_start_stack(stat.startstack);
  layout->set_arg_start(stat.arg_start);
  layout->set_arg_end(stat.arg_end);
  layout->set_env_start(stat.env_start);
  layout->set_env_end(stat.env_end);
  BATON_TRY(const std::string auxv, ReadProcessFile(pid, "auxv"));
  layout->set_auxv(auxv);
  return {};
}

Result<> CaptureSharedPending(const FrozenProcess& process, pb::ProcessRecord& record) {
  BATON_TRY(const std::vector<siginfo_t> pending, PeekSignals(process.tasks.front().tid, true));
  for (const siginfo_t& info : pending) record.add_pending()->assign(reinterpret_cast<const char*>(&info), sizeof info);
  return {};
}

Result<> CaptureSettings(pid_t pid, pb::ProcessRecord& record) {
  BATON_TRY(const std::string text, ReadProcessFile(pid, "oom_score_adj"));
  record.set_oom_score_adj(std::atoi(text.c_str()));
  BATON_TRY(const std::string filter, ReadProcessFile(pid, "coredump_filter"));
  record.set_coredump_filter(static_cast<uint32_t>(std::strtoul(filter.c_str(), nullptr, 16)));
  const auto login = ReadProcessFile(pid, "loginuid");
  if (login) record.set_login_uid(static_cast<uint32_t>(std::strtoul(login->c_str(), nullptr, 10)));
  return {};
}

// proc(5): to those who may not look, a dead process shows 0 instead of what it died of.
Result<> CheckStatusReadable(pid_t pid, const std::string& name) {
  const auto exe = ReadProcessLink(pid, "exe");  // asks for the same right
  if (exe || exe.error().saved_errno() != EACCES) return {};
  return MakeError(
      ErrorCode::kNotSupported,
      "process {} ({}) has ended and waits for its parent; what it ended with cannot be read by this user: "
      "try again later, or as root",
      pid, name);
}

Error RefuseVfork(const FrozenProcess& process) {
  const auto name = [](pid_t pid) {
    const auto comm = ReadComm(pid);
    return comm ? *comm : "?";
  };
  const VforkWait& wait = process.vforks.front();
  return MakeError(ErrorCode::kNotSupported,
                   "process {} ({}) waits in vfork(2) for its child {} ({}), which has neither run another program nor "
                   "ended: that cannot be saved; try again later",
                   process.pid, name(process.pid), wait.child, name(wait.child));
}

}  // namespace

Result<> CheckProcess(const FrozenProcess& process, pid_t root_tid) {
  BATON_CHECKED(FailPoint("capture.check_process"));
  if (process.zombie) return {};
  if (!process.vforks.empty()) return RefuseVfork(process);
  for (const FrozenTask& task : process.tasks) {
    BATON_TRY(const ProcStatus status, ReadStatus(process.pid, task.tid));
    BATON_CHECKED(SuspendSeccomp(status, task.tid));
    if (HasSyscallDispatch(task.tid)) {
      return MakeError(ErrorCode::kNotSupported,
                       "process {} ({}) has its system calls sent to itself (PR_SET_SYSCALL_USER_DISPATCH), ours would "
                       "be too: start it without",
                       process.pid, status.name);
    }
    if (!task.registers.Is64Bit()) {
      return MakeError(ErrorCode::kNotSupported, "process {} ({}) is a 32-bit program: only 64-bit ones can be saved",
                       process.pid, status.name);
    }
  }
  const pid_t tid = process.living_tid();
  BATON_CHECKED(CheckNamespaces(tid, root_tid));
  if (tid == root_tid) BATON_CHECKED(CheckOuterNamespaces(root_tid));
  return {};
}

Result<pb::ProcessRecord> CaptureProcess(const FrozenProcess& process) {
  pb::ProcessRecord record;
  BATON_CHECKED(CaptureIdentity(process, record));
  const pid_t tid = process.living_tid();
  BATON_TRY(const ProcStat stat, ReadStat(tid));
  BATON_TRY(const ProcStat of_leader, ReadStat(process.pid));
  record.set_zombie(process.zombie);
  if (of_leader.exit_signal != SIGCHLD) record.set_exit_signal(static_cast<uint32_t>(of_leader.exit_signal));
  if (process.zombie) {
    BATON_CHECKED(CheckStatusReadable(process.pid, stat.comm));
    record.set_exit_status(stat.exit_code);
    return record;
  }
  BATON_CHECKED(CaptureLimits(tid, record));
  BATON_CHECKED(CaptureCgroups(tid, record));
  BATON_CHECKED(CaptureDirectories(tid, record));
  BATON_CHECKED(CaptureLayout(tid, stat, record));
  BATON_CHECKED(CaptureSharedPending(process, record));
  BATON_CHECKED(CaptureSettings(tid, record));
  const FrozenTask& leader = process.tasks.front();
  record.set_stopped(leader.group_stopped);
  record.set_stop_signal(static_cast<uint32_t>(leader.group_stopped ? leader.group_stop_signal : 0));
  return record;
}

Result<> CaptureMappings(const FrozenProcess& process, MappingFlags& flags, pb::ProcessRecord& record) {
  const pid_t tid = process.living_tid();
  BATON_TRY(const std::vector<MapsEntry> maps, ReadMaps(tid));
  BATON_TRY(const std::vector<pb::MappingRecord> mappings, DescribeMappings(tid, maps, flags));
  for (const pb::MappingRecord& mapping : mappings) *record.add_mappings() = mapping;
  return {};
}

Result<pb::ApartThreadRecord> CaptureApartThread(pid_t pid, pid_t tid, const Tables& tables) {
  BATON_TRY(const ProcStatus status, ReadStatus(pid, tid));
  pb::ProcessRecord own;
  BATON_CHECKED(CaptureDirectories(tid, own));
  pb::ApartThreadRecord record;
  record.set_tid(Innermost(status.ns_pid, status.pid));
  record.set_files_table(static_cast<uint32_t>(tables[kFiles]));
  record.set_directories_table(static_cast<uint32_t>(tables[kDirectories]));
  record.set_cwd(own.cwd());
  record.set_root(own.root());
  if (status.umask) record.set_umask(*status.umask);
  return record;
}

}  // namespace baton
