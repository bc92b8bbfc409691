#include "engine/native/unit_capture.h"

#include <fcntl.h>
#include <linux/kcmp.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <set>

#include "base/fault.h"
#include "base/file.h"
#include "base/log.h"
#include "engine/native/credentials.h"
#include "engine/native/ipc_limits.h"
#include "engine/native/job_control.h"
#include "engine/native/machine.h"
#include "engine/native/message_queues.h"
#include "engine/native/process_capture.h"
#include "engine/native/record_names.h"
#include "engine/native/seccomp.h"
#include "engine/native/shared_tables.h"
#include "engine/native/thread_capture.h"
#include "engine/native/tree_nodes.h"
#include "engine/native/vfork_wait.h"
#include "proc/namespace_visit.h"
#include "proc/process_files.h"
#include "tree/plan.h"

namespace baton {
namespace {

// The lowest that can say it: an older Baton must not take what is shared for a process' own.
uint32_t ProcessVersionOf(const pb::ProcessRecord& process) {
  const bool shares = process.memory_table() != 0 || process.actions_table() != 0 || process.files_table() != 0 ||
                      process.directories_table() != 0 || process.apart_threads_size() != 0 ||
                      process.has_exit_signal();
  return shares ? kProcessVersion : 1;
}

constexpr std::chrono::milliseconds kVforkPatience{500};  // nobody stands meanwhile

// By the numbers they have in their own pid namespace.
std::vector<pid_t> InOwnOrder(const std::vector<pid_t>& pids) {
  std::map<pid_t, pid_t> by_own_number;
  for (const pid_t pid : pids) {
    const auto status = ReadStatus(pid);
    if (status && !status->ns_tgid.empty()) by_own_number[status->ns_tgid.back()] = pid;
  }
  std::vector<pid_t> ordered;
  for (const auto& [own, pid] : by_own_number) ordered.push_back(pid);
  return ordered;
}

}  // namespace

// Breadth first, parents before children: a parent that waits for its vfork child is then met while the child still
// runs.
Result<std::vector<pid_t>> NativeCapture::ListProcesses() const {
  std::vector<pid_t> pids;
  if (request_.roots) {
    BATON_TRY(pids, request_.roots());
  } else if (request_.scope == CaptureRequest::Scope::kTree) {
    pids.push_back(request_.pid);
  } else {
    BATON_TRY(const std::vector<pid_t> children, ListChildren(request_.pid));
    // The unit's first process before its orphans: numbers of ours wrap around, the capsule's begin with it.
    pids = InOwnOrder(children);
  }
  for (size_t i = 0; i < pids.size(); ++i) {
    const auto children = ListChildren(pids[i]);
    if (!children) continue;  // it ended meanwhile
    for (const pid_t child : *children) {
      if (std::ranges::find(pids, child) == pids.end()) pids.push_back(child);
    }
  }
  return pids;
}

Result<> NativeCapture::Prepare() {
  BATON_CHECKED(FailPoint("capture.prepare"));
  auto status = ReadStatus(request_.pid);
  if (!status) return status.Fail("process {}", request_.pid);
  BATON_TRY(const std::vector<pid_t> pids, ListProcesses());
  if (request_.scope == CaptureRequest::Scope::kTree) BATON_CHECKED(CheckNotSharedOutside(pids));
  std::vector<pid_t> tids;
  std::multimap<uint64_t, pid_t> by_size;  // those that share memory are of one size
  for (const pid_t pid : pids) {
    const pid_t tid = LivingTask(pid);
    const auto stat = ReadStat(tid);
    const auto [begin, end] = by_size.equal_range(stat ? stat->vsize : 0);
    if (std::any_of(begin, end, [tid](const auto& other) { return Share(other.second, tid, KCMP_VM); })) continue;
    by_size.emplace(stat ? stat->vsize : 0, tid);
    tids.push_back(tid);
    if (auto read = flags_[pid].Read(tids.back()); !read) flags_.erase(pid);
  }
  return pages_.Prepare(tids);
}

Result<> NativeCapture::Stop() {
  BATON_CHECKED(FailPoint("capture.stop"));
  ForgetAttempt();
  const auto lister = [this] { return ListProcesses(); };
  BATON_CHECKED(AwaitVforks(lister, kVforkPatience));
  stopped_at_ = std::chrono::steady_clock::now();
  auto frozen = FrozenUnit::Stop(lister);
  if (!frozen) return frozen.Fail("stop the unit");
  frozen_.emplace(std::move(*frozen));
  const FrozenProcess& first = frozen_->processes().front();
  if (first.zombie) return MakeError(ErrorCode::kTaskGone, "process {} has ended", first.pid);
  return FailPoint("capture.stopped");
}

void NativeCapture::ForgetAttempt() {
  open_files_ = OpenFiles(request_.reset_tcp_outside);
  contents_.clear();
  removed_cwds_.clear();
  removed_exes_.clear();
  pages_.Forget();
  sysv_.Forget();
  unit_.Clear();
  processes_.clear();
  file_records_.clear();
  written_files_.clear();
}

Result<> NativeCapture::Capture() {
  auto captured = CaptureAll();
  if (captured || frozen_->AllStand()) return captured;
  return Error(ErrorCode::kTaskGone, captured.error().ToString());
}

Result<> NativeCapture::CaptureAll() {
  BATON_CHECKED(CheckAll());
  BATON_CHECKED(CaptureOutside());
  BATON_CHECKED(FindSysv());
  BATON_CHECKED(CaptureInside());
  BATON_CHECKED(sysv_.CopySegments(pages_));
  BATON_CHECKED(CheckDeathSignals());
  BATON_CHECKED(WithIdsOf(frozen_->processes().front().living_tid(), [this]() -> Result<> {
    BATON_TRY(file_records_, open_files_.Capture());
    return {};
  }));
  contents_ = open_files_.TakeContents();
  NoteWrittenFiles();
  return FailPoint("capture.done");
}

// All that can be refused is refused here, before anything is touched.
Result<> NativeCapture::CheckAll() {
  std::vector<OpenFiles::Process> processes;
  const pid_t root = frozen_->processes().front().living_tid();
  for (const FrozenProcess& process : frozen_->processes()) {
    BATON_CHECKED(CheckProcess(process, root));
    BATON_TRY(const ProcStatus status, ReadStatus(process.pid));
    const pid_t ns_pid = status.ns_tgid.empty() ? process.pid : status.ns_tgid.back();
    processes.push_back({process.pid, process.living_tid(), ns_pid, process.zombie});
  }
  BATON_TRY(shared_, FindSharedTables(frozen_->processes()));
  for (const auto& [process, threads] : shared_.threads) {
    for (const auto& [tid, tables] : threads) {
      BATON_TRY(const ProcStatus status, ReadStatus(tid));
      processes.push_back({tid, tid, status.ns_pid.empty() ? tid : status.ns_pid.back(), false, true});
    }
  }
  BATON_CHECKED(hidden_.Show(frozen_->processes()));
  return WithIdsOf(root, [&]() -> Result<> {
    BATON_CHECKED(open_files_.Gather(processes, request_.externals));
    BATON_CHECKED(AddRemovedFiles());
    BATON_CHECKED(AddMessageQueues());
    return open_files_.Check();
  });
}

// Working directories and executables that no path leads to are saved like open files that have been deleted.
Result<> NativeCapture::AddRemovedFiles() {
  for (const FrozenProcess& process : frozen_->processes()) {
    if (process.zombie) continue;
    const pid_t first = process.living_tid();
    BATON_CHECKED(AddRemovedFile(first, "cwd", O_PATH | O_DIRECTORY, removed_cwds_));
    if (IsFirstWithMemory(process)) BATON_CHECKED(AddRemovedFile(first, "exe", O_RDONLY, removed_exes_));
  }
  for (const auto& [process, threads] : shared_.threads) {
    for (const auto& [tid, tables] : threads) {
      BATON_CHECKED(AddRemovedFile(tid, "cwd", O_PATH | O_DIRECTORY, removed_cwds_));
    }
  }
  return {};
}

Result<> NativeCapture::AddRemovedFile(pid_t tid, const char* name, int flags, std::map<pid_t, uint32_t>& ids) {
  const std::string path = fmt::format("/proc/{}/{}", tid, name);
  struct stat status{};
  if (stat(path.c_str(), &status) != 0 || status.st_nlink > 0) return {};
  BATON_TRY(UniqueFd fd, OpenProcessFile(tid, name, flags));
  BATON_TRY(ids[tid], open_files_.Add(std::move(fd), tid));
  return {};
}

// Its record has the mappings and pages for all that share them.
bool NativeCapture::IsFirstWithMemory(const FrozenProcess& process) const {
  const auto memory_of = [this](const FrozenProcess& any) {
    return any.zombie ? 0 : shared_.processes.at(any.living_tid())[kMemory];
  };
  const int memory = memory_of(process);
  if (memory == 0) return true;
  const auto first = std::ranges::find(frozen_->processes(), memory, memory_of);
  return first->pid == process.pid;
}

Result<> NativeCapture::CaptureTables(const FrozenProcess& process, pb::ProcessRecord& record) {
  const pid_t first = process.living_tid();
  const Tables& tables = shared_.processes.at(first);
  record.set_memory_table(static_cast<uint32_t>(tables[kMemory]));
  record.set_actions_table(static_cast<uint32_t>(tables[kActions]));
  record.set_files_table(static_cast<uint32_t>(tables[kFiles]));
  record.set_directories_table(static_cast<uint32_t>(tables[kDirectories]));
  const auto apart = shared_.threads.find(first);
  if (apart == shared_.threads.end()) return {};
  for (const auto& [tid, own] : apart->second) {
    BATON_TRY(pb::ApartThreadRecord thread, CaptureApartThread(process.pid, tid, own));
    const std::vector<pb::DescriptorRecord> descriptors = open_files_.DescriptorsOf(thread.tid());
    thread.mutable_descriptors()->Add(descriptors.begin(), descriptors.end());
    if (const auto gone = removed_cwds_.find(tid); gone != removed_cwds_.end()) thread.set_removed_cwd(gone->second);
    *record.add_apart_threads() = std::move(thread);
  }
  return {};
}

// What a restore would find out too late.
Result<> NativeCapture::CheckCanBeMade() const {
  if (shared_.empty()) return {};
  const TreeOutside outside = OutsideOf(unit_, processes_, 0);
  auto plan = PlanTree(TreeNodesOf(processes_, outside.reaper), outside);
  if (!plan && plan.error().code() == ErrorCode::kNotSupported) return plan.Fail();
  return {};
}

Result<> NativeCapture::CaptureOutside() {
  for (const FrozenProcess& process : frozen_->processes()) {
    BATON_TRY(pb::ProcessRecord record, CaptureProcess(process));
    if (!process.zombie) BATON_CHECKED(CaptureTables(process, record));
    if (!process.zombie && IsFirstWithMemory(process)) {
      BATON_CHECKED(CaptureMappings(process, flags_[process.pid], record));
    }
    if (const auto gone = removed_cwds_.find(process.living_tid()); gone != removed_cwds_.end()) {
      record.set_removed_cwd(gone->second);
    }
    if (const auto gone = removed_exes_.find(process.living_tid()); gone != removed_exes_.end()) {
      record.set_removed_exe(gone->second);
    }
    for (const pb::DescriptorRecord& descriptor : open_files_.DescriptorsOf(record.pid())) {
      if (!process.zombie) *record.add_descriptors() = descriptor;
    }
    record.set_terminal(open_files_.TerminalOf(process.pid));
    processes_.push_back(std::move(record));
  }
  std::set<pid_t> inside;
  for (const pb::ProcessRecord& record : processes_) inside.insert(record.pid());
  for (pb::ProcessRecord& record : processes_) {
    record.set_child_of_outside(!inside.contains(record.ppid()));
  }
  BATON_CHECKED(DescribeMachine(frozen_->processes().front().living_tid(), unit_));
  BATON_CHECKED(CaptureIpcLimits(frozen_->processes().front().living_tid(), unit_));
  unit_.set_root_pid(static_cast<uint32_t>(processes_.front().pid()));
  unit_.set_capsule(request_.scope == CaptureRequest::Scope::kCapsule);
  unit_.set_outside_parent(static_cast<uint32_t>(processes_.front().ppid()));
  BATON_CHECKED(CheckRelations());
  return CheckCanBeMade();
}

// Those that nobody has open.
Result<> NativeCapture::AddMessageQueues() {
  BATON_TRY(std::vector<UniqueFd> queues, OpenMessageQueues(frozen_->processes().front().pid));
  for (UniqueFd& queue : queues) {
    struct stat status{};
    fstat(queue.get(), &status);
    const bool known = std::ranges::any_of(open_files_.files(), [&](const FdFacts& file) {
      return file.status.st_dev == status.st_dev && file.status.st_ino == status.st_ino;
    });
    if (!known) BATON_CHECKED(open_files_.Add(std::move(queue), frozen_->processes().front().living_tid()));
  }
  return {};
}

Result<> NativeCapture::FindSysv() {
  SysvScope scope{.root_pid = frozen_->processes().front().living_tid(), .numbers = {}, .attached = {}};
  for (size_t i = 0; i < processes_.size(); ++i) {
    scope.numbers[frozen_->processes()[i].pid] = processes_[i].pid();
    for (const pb::MappingRecord& mapping : processes_[i].mappings()) {
      if (mapping.backing() != pb::MappingRecord::SYSV) continue;
      scope.attached[static_cast<int>(mapping.object())] = mapping.page_bytes();
    }
  }
  sysv_.record().set_killed(request_.ends_with_kill);
  return sysv_.Find(scope);
}

// Sessions and groups of the unit must be led from inside it (the leader may be dead), unless the user says that those
// of the restoring shell will do.
Result<> NativeCapture::CheckRelations() {
  std::set<pid_t> inside;
  for (const pb::ProcessRecord& record : processes_) inside.insert(record.pid());
  const pb::ProcessRecord& root = processes_.front();
  if (unit_.capsule() || request_.shell_job) return {};
  for (const auto& [id, what] : {std::pair{root.sid(), "session"}, std::pair{root.pgid(), "process group"}}) {
    if (inside.contains(id)) continue;
    return MakeError(
        ErrorCode::kNotSupported,
        "process {} belongs to {} {}, whose leader is not part of what is saved: save from that leader on, or "
        "allow the restoring shell's own with --shell-job",
        root.pid(), what, id);
  }
  return CheckOtherRoots(inside);
}

// A session or group of theirs whose leader is dead is made again; one whose leader lives cannot be.
Result<> NativeCapture::CheckOtherRoots(const std::set<pid_t>& inside) {
  const pb::ProcessRecord& root = processes_.front();
  for (size_t i = 1; i < processes_.size(); ++i) {
    const pb::ProcessRecord& other = processes_[i];
    if (!other.child_of_outside()) continue;
    BATON_TRY(const ProcStat stat, ReadStat(frozen_->processes()[i].pid));
    const bool session = !inside.contains(other.sid()) && other.sid() != root.sid() && ReadStat(stat.session);
    const bool group = !inside.contains(other.pgid()) && other.pgid() != root.pgid() && ReadStat(stat.pgrp);
    if (!session && !group) continue;
    return MakeError(ErrorCode::kNotSupported,
                     "process {} belongs to {} {}, whose leader lives and is not part of what is saved: choose a scope "
                     "that has it",
                     other.pid(), session ? "session" : "process group", session ? other.sid() : other.pgid());
  }
  return {};
}

Result<> NativeCapture::CaptureInside() {
  // All of them before any memory is copied: what is left of a time-out may be put on a thread's stack.
  for (size_t i = 0; i < processes_.size(); ++i) {
    const FrozenProcess& process = frozen_->processes()[i];
    if (!process.zombie) BATON_CHECKED(CaptureThreads(process, processes_[i]));
  }
  bool first = true;
  for (size_t i = 0; i < processes_.size(); ++i) {
    FrozenProcess& process = frozen_->processes()[i];
    if (process.zombie) continue;
    BATON_CHECKED(CaptureProcessInside(process, processes_[i], first));
    first = false;
  }
  return {};
}

Result<> NativeCapture::CaptureThreads(const FrozenProcess& process, pb::ProcessRecord& record) {
  if (process.leader_exited) {
    BATON_TRY(*record.add_threads(), DescribeExitedLeader(process.pid));
  }
  for (const FrozenTask& task : process.tasks) {
    BATON_TRY(*record.add_threads(), CaptureThread(process, task, call_memory_));
  }
  return {};
}

Result<> NativeCapture::CaptureProcessInside(FrozenProcess& process, pb::ProcessRecord& record, bool first) {
  const pid_t tid = process.living_tid();
  BATON_TRY(const RemoteMemory memory, RemoteMemory::Open(tid));
  BATON_TRY(const std::vector<MapsEntry> maps, ReadMaps(tid));
  BATON_TRY(const InjectionPlace place, InjectionPlace::Find(memory, maps));
  BATON_TRY(const ProcStatus leader, ReadStatus(tid));
  const bool has_memory = IsFirstWithMemory(process);
  const int first_living = process.leader_exited ? 1 : 0;
  for (size_t i = 0; i < process.tasks.size(); ++i) {
    const FrozenTask& task = process.tasks[i];
    pb::ThreadRecord& thread = *record.mutable_threads(first_living + static_cast<int>(i));
    BATON_TRY(const ProcStatus status, ReadStatus(process.pid, task.tid));
    BATON_TRY(const BorrowedTask::Thread borrowed, DescribeForBorrowing(leader, status, task));
    thread.set_tid(borrowed.marker.ns_tid);
    BATON_CHECKED(CaptureSeccomp(status, task.tid, record, thread));
    std::optional<BorrowedTask> visit;
    BATON_CHECKED(BorrowedTask::Borrow(visit, memory, place, borrowed));
    BATON_CHECKED(CaptureInsideThread(visit->calls(), thread));
    if (i == 0) {
      if (first) BATON_CHECKED(CaptureClocks(visit->calls(), unit_));
      BATON_CHECKED(CaptureInsideLeader(*visit, tid, record));
      if (has_memory) {
        MakeShadow(*visit, borrowed.marker, tid, leader);
        BATON_CHECKED(pages_.CopyProcess(memory, visit->calls(), record));
        BATON_CHECKED(CaptureLocksOfFuture(visit->calls(), tid, leader, record));
      }
    } else {
      CaptureOwnCredentials(status, record, thread);
    }
    BATON_CHECKED(visit->Return());
  }
  return {};
}

// A parent-death signal comes when the thread ends that made the child, and in a restored process that is the first
// one.
Result<> NativeCapture::CheckDeathSignals() const {
  const auto has_signal = [](const pb::ThreadRecord& thread) { return thread.parent_death_signal() != 0; };
  for (const pb::ProcessRecord& parent : processes_) {
    if (parent.threads().empty() || !parent.threads(0).exited()) continue;
    for (const pb::ProcessRecord& child : processes_) {
      if (child.ppid() != parent.pid() || std::ranges::none_of(child.threads(), has_signal)) continue;
      return MakeError(ErrorCode::kNotSupported,
                       "process {} has a parent-death signal, and the first thread of its parent {} has ended: that "
                       "cannot be saved",
                       child.pid(), parent.pid());
    }
  }
  return {};
}

// Without one its memory is copied in the pause. A subreaper of the unit (known by now: parents come first) would be
// given the shadow as a child.
void NativeCapture::MakeShadow(BorrowedTask& leader, const Marker& marker, pid_t pid, const ProcStatus& status) {
  if (request_.ends_with_kill || status.seccomp != 0 || !CopiedPages::WorthShadow(status)) return;
  if (std::ranges::any_of(processes_, [](const pb::ProcessRecord& process) { return process.subreaper(); })) return;
  auto shadow = ShadowProcess::Make(leader.calls(), marker);
  if (!shadow) {
    BATON_LOG(kInfo, "process {}: {}; its memory is copied", pid, shadow.error().ToString());
    return;
  }
  pages_.AddShadow(pid, std::move(*shadow));
}

Result<> NativeCapture::CaptureInsideLeader(BorrowedTask& leader, pid_t pid, pb::ProcessRecord& record) {
  BATON_CHECKED(CaptureInsideProcess(leader.calls(), pid, record));
  if (hidden_.Shown(pid)) record.set_dumpable(0);
  for (pb::ProcessRecord& child : processes_) {
    if (child.stopped() && child.ppid() == record.pid()) BATON_CHECKED(CaptureStopTaken(leader.calls(), child));
  }
  return {};
}

void NativeCapture::NoteWrittenFiles() {
  for (const FdFacts& file : open_files_.files()) {
    const bool written = (file.info.flags & O_ACCMODE) != O_RDONLY && (file.info.flags & O_PATH) == 0;
    if (!file.IsRegular() || !written || file.status.st_nlink == 0) continue;
    written_files_.push_back(
        {file.link, file.status.st_dev, file.status.st_ino, false, (file.info.flags & O_APPEND) != 0});
  }
  for (size_t i = 0; i < processes_.size(); ++i) {
    for (const pb::MappingRecord& mapping : processes_[i].mappings()) {
      if (mapping.backing() != pb::MappingRecord::FILE || !mapping.shared() || !mapping.maybe_writable()) continue;
      // As the unit sees the path: its directories may be elsewhere here.
      const auto status = StatBelowRoot(frozen_->processes()[i].living_tid(), mapping.path());
      if (status) written_files_.push_back({mapping.path(), status->st_dev, status->st_ino, true, false});
    }
  }
}

void NativeCapture::FinishStats() {
  stats_.pause = std::chrono::steady_clock::now() - stopped_at_;
  stats_.processes = processes_.size();
  stats_.memory_bytes = pages_.bytes();
  stats_.threads = 0;
  for (const pb::ProcessRecord& process : processes_) stats_.threads += static_cast<uint64_t>(process.threads_size());
}

Result<> NativeCapture::Resume() {
  if (!frozen_) return {};
  open_files_.CloseCopies();
  hidden_.Hide();
  frozen_->Resume();
  FinishStats();
  frozen_.reset();
  call_memory_.Save();
  return {};
}

Result<> NativeCapture::Kill() {
  if (!frozen_) return {};
  open_files_.BeforeKill();
  open_files_.CloseCopies();
  hidden_.Forget();
  auto killed = frozen_->Kill();
  FinishStats();
  frozen_.reset();
  return killed;
}

Result<> NativeCapture::Write(ImageWriter& writer) {
  BATON_CHECKED(FailPoint("capture.write"));
  BATON_CHECKED(writer.AddRecord({std::string(kUnitRecord), 1, unit_.SerializeAsString()}));
  for (const pb::ProcessRecord& process : processes_) {
    BATON_CHECKED(
        writer.AddRecord({std::string(kProcessRecord), ProcessVersionOf(process), process.SerializeAsString()}));
  }
  for (const pb::OpenFileRecord& file : file_records_) {
    BATON_CHECKED(writer.AddRecord({std::string(kOpenFileRecord), 1, file.SerializeAsString()}));
  }
  if (!sysv_.empty()) {
    BATON_CHECKED(writer.AddRecord({std::string(kSysvRecord), 1, sysv_.record().SerializeAsString()}));
  }
  for (const auto& [space, bytes] : contents_) {
    const std::string content(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    BATON_CHECKED(writer.AddRecord({std::string(kContentRecord) + space, 1, content}));
  }
  auto written = pages_.Write(writer);
  sysv_.Forget();
  return written;
}

}  // namespace baton
