#include "engine/native/shared_tables.h"

#include <linux/kcmp.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <string_view>
#include <vector>

#include "proc/process_files.h"

namespace baton {
namespace {

struct Table {
  std::string_view name;
  int type;
  bool may_be_the_parents;
};

constexpr Table kTables[] = {{"address space (vfork or CLONE_VM)", KCMP_VM, false},
                             {"signal actions (CLONE_SIGHAND)", KCMP_SIGHAND, false},
                             {"descriptor table", KCMP_FILES, true},
                             {"working directory", KCMP_FS, true}};

struct Member {
  pid_t tid;
  pid_t parent;
};

Error Shared(pid_t a, pid_t b, const Table& table, std::string_view hint) {
  return MakeError(ErrorCode::kNotSupported, "processes {} and {} share their {}{}; that cannot be saved yet", a, b,
                   table.name, hint);
}

// A thread may leave what all others share (unshare(2)).
Result<> CheckThreads(const FrozenProcess& process) {
  for (const FrozenTask& task : process.tasks) {
    for (const Table& table : kTables) {
      if (task.tid == process.living_tid() || Share(task.tid, process.living_tid(), table.type)) continue;
      return MakeError(ErrorCode::kNotSupported,
                       "thread {} of process {} has a {} of its own (unshare); that cannot be saved yet", task.tid,
                       process.pid, table.name);
    }
  }
  return {};
}

// kcmp(2) orders processes by what they have: those that share stand together. Inserted one by one, since a process
// that is killed meanwhile breaks the order, which std::sort must not meet.
std::vector<Member> SortedByTable(std::span<const Member> members, const Table& table) {
  std::vector<Member> sorted;
  for (const Member& member : members) {
    const auto place = std::ranges::lower_bound(sorted, member, [&](const Member& a, const Member& b) {
      return syscall(SYS_kcmp, a.tid, b.tid, table.type, 0, 0) == 1;
    });
    sorted.insert(place, member);
  }
  return sorted;
}

// In a group that shares a table all but one must have got it from their parent.
Result<> CheckGroup(std::span<const Member> group, const Table& table) {
  if (group.size() < 2) return {};
  if (!table.may_be_the_parents) return Shared(group[0].tid, group[1].tid, table, "");
  const Member* heir = nullptr;
  for (const Member& member : group) {
    if (Share(member.tid, member.parent, table.type)) continue;
    if (heir != nullptr) return Shared(heir->tid, member.tid, table, ", and neither has it from the other");
    heir = &member;
  }
  return {};
}

Result<> CheckTable(std::span<const Member> members, const Table& table) {
  const std::vector<Member> sorted = SortedByTable(members, table);
  for (size_t first = 0, end = 1; first < sorted.size(); first = end++) {
    while (end < sorted.size() && Share(sorted[first].tid, sorted[end].tid, table.type)) ++end;
    BATON_CHECKED(CheckGroup(std::span(sorted).subspan(first, end - first), table));
  }
  return {};
}

Result<> CheckWithParent(const Member& member) {
  for (const Table& table : kTables) {
    if (table.may_be_the_parents || !Share(member.tid, member.parent, table.type)) continue;
    return Shared(member.parent, member.tid, table, "");
  }
  return {};
}

}  // namespace

bool Share(pid_t a, pid_t b, int type) { return syscall(SYS_kcmp, a, b, type, 0, 0) == 0; }

Result<> CheckSharedTables(std::span<const FrozenProcess> processes) {
  std::vector<Member> members;
  for (const FrozenProcess& process : processes) {
    if (process.zombie) continue;
    BATON_CHECKED(CheckThreads(process));
    BATON_TRY(const ProcStat stat, ReadStat(process.pid));
    members.push_back({process.living_tid(), LivingTask(stat.ppid)});
    BATON_CHECKED(CheckWithParent(members.back()));
  }
  for (const Table& table : kTables) BATON_CHECKED(CheckTable(members, table));
  return {};
}

}  // namespace baton
