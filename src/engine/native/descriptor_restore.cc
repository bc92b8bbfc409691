#include "engine/native/descriptor_restore.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include <algorithm>
#include <cerrno>

#include "base/fault.h"

namespace baton {
namespace {

// A table that may need more descriptors than the stub's soft limit allows; the process' own limits come later.
Result<> RaiseDescriptorLimit(RemoteSyscalls& calls, int highest) {
  BATON_TRY(const auto at, calls.PutValue(rlimit{}));
  BATON_CHECKED(calls.Do("read the descriptor limit", SYS_prlimit64, 0, RLIMIT_NOFILE, 0, at));
  BATON_TRY(rlimit limit, calls.Get(at));
  if (limit.rlim_cur > static_cast<rlim_t>(highest)) return {};
  limit.rlim_cur = limit.rlim_max;
  BATON_TRY(const auto raised, calls.PutValue(limit));
  BATON_CHECKED(calls.Do("raise the descriptor limit", SYS_prlimit64, 0, RLIMIT_NOFILE, raised, 0));
  return {};
}

// The lowest number that none of the descriptors needs, but for `skipped` of them.
int FreeNumber(const std::vector<pb::DescriptorRecord>& sorted, int skipped) {
  int number = 0;
  for (const pb::DescriptorRecord& descriptor : sorted) {
    for (; number < descriptor.fd(); ++number) {
      if (skipped-- == 0) return number;
    }
    number = descriptor.fd() + 1;
  }
  return number + skipped;
}

// Executables that wait in a table for the end of the restore, by the number of the table.
using WaitingExes = std::map<uint32_t, int>;

template <typename Task>
TaskFiles FilesOf(pid_t number, const Task& task, const TableOwners& owners, const WaitingExes& waiting) {
  TaskFiles files;
  files.number = number;
  std::vector<pb::DescriptorRecord> sorted(task.descriptors().begin(), task.descriptors().end());
  std::ranges::sort(sorted, {}, [](const auto& descriptor) { return descriptor.fd(); });
  const auto before = waiting.find(task.files_table());
  files.free_number = FreeNumber(sorted, task.files_table() == 0 || before == waiting.end() ? 0 : before->second);
  if (owners.OwnsFiles(task.files_table(), number)) files.fetched = std::move(sorted);
  if (owners.OwnsDirectories(task.directories_table(), number)) files.removed_cwd = task.removed_cwd();
  return files;
}

// `source` is the holder's pidfd in the process.
Result<> EnterRemovedDirectory(RemoteSyscalls& calls, int source, int in_holder) {
  BATON_TRY(const int64_t cwd, calls.Do("fetch a directory", SYS_pidfd_getfd, source, in_holder, 0));
  BATON_CHECKED(calls.Do("change to a removed directory", SYS_fchdir, cwd));
  BATON_CHECKED(calls.Do("close", SYS_close, cwd));
  return {};
}

// The kernel gives the lowest free number, so every result is known beforehand and all goes in one batch.
std::vector<RemoteCall> PlanDescriptors(const std::vector<pb::DescriptorRecord>& wanted, int source,
                                        const Holder& holder) {
  std::vector<RemoteCall> batch;
  uint64_t lowest_free = 0;
  for (const pb::DescriptorRecord& descriptor : wanted) {
    const auto fd = static_cast<uint64_t>(descriptor.fd());
    const auto from = static_cast<uint64_t>(holder.DescriptorOf(descriptor.open_file()));
    if (lowest_free == static_cast<uint64_t>(source)) ++lowest_free;
    batch.push_back({SYS_pidfd_getfd, {static_cast<uint64_t>(source), from, 0}});
    if (lowest_free == fd) {
      batch.push_back({SYS_fcntl, {fd, F_SETFD, descriptor.close_on_exec() ? FD_CLOEXEC : 0U}});
      ++lowest_free;
    } else {
      batch.push_back({SYS_dup3, {lowest_free, fd, descriptor.close_on_exec() ? O_CLOEXEC : 0U}});
      batch.push_back({SYS_close, {lowest_free}});
    }
  }
  return batch;
}

Result<> FetchDescriptors(RemoteSyscalls& calls, pid_t pid, std::vector<RemoteCall> batch) {
  BATON_CHECKED(calls.Run(batch));
  for (const RemoteCall& call : batch) {
    if (call.result < 0) return ErrnoError(static_cast<int>(-call.result), "process {}: descriptors", pid);
  }
  return {};
}

Result<> OpenHolder(RemoteSyscalls& calls, pid_t holder, int as) {
  BATON_TRY(const int64_t pid_fd, calls.Do("pidfd_open of the holder", SYS_pidfd_open, holder, 0));
  if (pid_fd == as) return {};
  BATON_CHECKED(calls.Do("dup3", SYS_dup3, pid_fd, as, O_CLOEXEC));
  BATON_CHECKED(calls.Do("close", SYS_close, pid_fd));
  return {};
}

// Its number becomes that of the holder's pidfd, which is needed last for it.
Result<> FetchExecutable(RemoteSyscalls& calls, int source, int in_holder) {
  BATON_TRY(const int64_t exe, calls.Do("fetch the executable", SYS_pidfd_getfd, source, in_holder, 0));
  BATON_CHECKED(calls.Do("dup3", SYS_dup3, exe, source, O_CLOEXEC));
  BATON_CHECKED(calls.Do("close", SYS_close, exe));
  return {};
}

}  // namespace

std::map<pid_t, TaskFiles> FilesOfTasks(std::span<const pb::ProcessRecord> processes, const TableOwners& owners) {
  std::map<pid_t, TaskFiles> all;
  WaitingExes waiting;
  for (const pb::ProcessRecord& process : processes) {
    if (process.zombie()) continue;
    TaskFiles& files = all[process.pid()];
    files = FilesOf(process.pid(), process, owners, waiting);
    files.removed_exe = process.removed_exe();
    if (process.removed_exe() != 0) ++waiting[process.files_table()];
    for (const pb::ApartThreadRecord& thread : process.apart_threads()) {
      all[thread.tid()] = FilesOf(thread.tid(), thread, owners, waiting);
    }
  }
  return all;
}

Result<> RestoreDescriptors(BlankTask& task, const TaskFiles& files, const Holder& holder) {
  BATON_CHECKED(FailPoint("restore.descriptors"));
  RemoteSyscalls& calls = task.calls();
  calls.ResetArguments();
  const int source = files.free_number;
  std::vector<pb::DescriptorRecord> wanted = files.fetched;
  std::erase_if(wanted, [&](const auto& one) { return holder.DescriptorOf(one.open_file()) == Holder::kLeftOut; });
  BATON_CHECKED(RaiseDescriptorLimit(calls, std::max(source + 1, wanted.empty() ? 0 : wanted.back().fd())));
  BATON_CHECKED(OpenHolder(calls, holder.ns_pid(), source));
  if (files.removed_cwd != 0) {
    BATON_CHECKED(EnterRemovedDirectory(calls, source, holder.DescriptorOf(files.removed_cwd)));
  }
  BATON_CHECKED(FetchDescriptors(calls, files.number, PlanDescriptors(wanted, source, holder)));
  if (files.removed_exe != 0) return FetchExecutable(calls, source, holder.DescriptorOf(files.removed_exe));
  BATON_CHECKED(calls.Do("close", SYS_close, source));
  return {};
}

}  // namespace baton
