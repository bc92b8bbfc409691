#include "engine/native/shared_tables.h"

#include <linux/kcmp.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <set>
#include <string_view>
#include <system_error>

#include "proc/process_files.h"

namespace baton {
namespace {

struct TableType {
  Table table;
  int type;
  std::string_view name;
};

constexpr TableType kTypes[] = {{kMemory, KCMP_VM, "memory (CLONE_VM)"},
                                {kActions, KCMP_SIGHAND, "signal actions (CLONE_SIGHAND)"},
                                {kFiles, KCMP_FILES, "descriptors (CLONE_FILES)"},
                                {kDirectories, KCMP_FS, "working directory (CLONE_FS)"}};

bool ThreadsMayDiffer(Table table) { return table == kFiles || table == kDirectories; }

struct Member {
  pid_t tid = 0;
  Tables* tables = nullptr;
};

bool IsApart(pid_t tid, pid_t first) { return !Share(tid, first, KCMP_FILES) || !Share(tid, first, KCMP_FS); }

// kcmp(2) orders tasks by what they have: those that share stand together. Inserted one by one, since a process that is
// killed meanwhile breaks the order, which std::sort must not meet.
std::vector<Member> SortedBy(int type, std::span<const Member> members) {
  std::vector<Member> sorted;
  for (const Member& member : members) {
    const auto place = std::ranges::lower_bound(sorted, member, [type](const Member& a, const Member& b) {
      return syscall(SYS_kcmp, a.tid, b.tid, type, 0, 0) == 1;
    });
    sorted.insert(place, member);
  }
  return sorted;
}

void Number(const TableType& type, std::span<const Member> members, int& last) {
  const std::vector<Member> sorted = SortedBy(type.type, members);
  for (size_t first = 0, end = 1; first < sorted.size(); first = end++) {
    while (end < sorted.size() && Share(sorted[first].tid, sorted[end].tid, type.type)) ++end;
    if (end - first < 2) continue;
    ++last;
    for (size_t i = first; i < end; ++i) (*sorted[i].tables)[type.table] = last;
  }
}

// Any of `sorted` that has the same.
std::optional<pid_t> FindSharer(int type, std::span<const Member> sorted, pid_t tid) {
  while (!sorted.empty()) {
    const Member& middle = sorted[sorted.size() / 2];
    const long order = syscall(SYS_kcmp, middle.tid, tid, type, 0, 0);
    if (order == 0) return middle.tid;
    if (order != 1 && order != 2) return std::nullopt;  // one of them has ended, or is not ours to look at
    sorted = order == 1 ? sorted.subspan(sorted.size() / 2 + 1) : sorted.first(sorted.size() / 2);
  }
  return std::nullopt;
}

std::vector<pid_t> AllProcesses() {
  std::vector<pid_t> pids;
  std::error_code ignored;
  for (const auto& process : std::filesystem::directory_iterator("/proc", ignored)) {
    const pid_t pid = std::atoi(process.path().filename().c_str());
    if (pid > 0) pids.push_back(pid);
  }
  return pids;
}

// To kcmp(2) all that have ended have the same, and so have the kernel's own threads.
bool HasMemory(pid_t tid) {
  const auto stat = ReadStat(tid);
  return stat && stat->vsize != 0;
}

// Itself, or born below one of them meanwhile.
bool IsBelow(const std::set<pid_t>& unit, pid_t pid) {
  while (pid > 1 && !unit.contains(pid)) {
    const auto stat = ReadStat(pid);
    if (!stat) return true;  // it has ended
    pid = stat->ppid;
  }
  return unit.contains(pid);
}

}  // namespace

bool Share(pid_t a, pid_t b, int type) { return syscall(SYS_kcmp, a, b, type, 0, 0) == 0; }

Result<> CheckNotSharedOutside(std::span<const pid_t> unit) {
  const std::set<pid_t> inside(unit.begin(), unit.end());
  std::vector<Member> members;
  for (const pid_t pid : unit) {
    if (HasMemory(LivingTask(pid))) members.push_back({LivingTask(pid), nullptr});
  }
  std::vector<pid_t> all = AllProcesses();
  std::erase_if(all, [&](pid_t pid) { return inside.contains(pid) || !HasMemory(LivingTask(pid)); });
  for (const TableType& type : kTypes) {
    const std::vector<Member> sorted = SortedBy(type.type, members);
    for (const pid_t pid : all) {
      const auto sharer = FindSharer(type.type, sorted, LivingTask(pid));
      if (!sharer || !HasMemory(*sharer) || !HasMemory(LivingTask(pid)) || IsBelow(inside, pid)) continue;
      return MakeError(ErrorCode::kNotSupported,
                       "process {} shares its {} with process {}, which is not part of what is saved: save from one on "
                       "that both are below",
                       *sharer, type.name, pid);
    }
  }
  return {};
}

bool SharedTables::empty() const {
  return threads.empty() && std::ranges::all_of(processes, [](const auto& entry) { return entry.second == Tables{}; });
}

Result<SharedTables> FindSharedTables(std::span<const FrozenProcess> processes) {
  SharedTables shared;
  std::vector<Member> first_threads;
  std::vector<Member> all;
  for (const FrozenProcess& process : processes) {
    if (process.zombie) continue;
    const pid_t first = process.living_tid();
    first_threads.push_back({first, &shared.processes[first]});
    all.push_back(first_threads.back());
    for (const FrozenTask& task : process.tasks) {
      if (task.tid != first && IsApart(task.tid, first)) all.push_back({task.tid, &shared.threads[first][task.tid]});
    }
  }
  int last = 0;
  for (const TableType& type : kTypes) Number(type, ThreadsMayDiffer(type.table) ? all : first_threads, last);
  return shared;
}

}  // namespace baton
