#include "engine/native/seccomp.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <algorithm>
#include <span>
#include <utility>

#include "base/fault.h"
#include "task/ptrace.h"

namespace baton {
namespace {

constexpr size_t kMaxProgramBytes = BPF_MAXINSNS * sizeof(sock_filter);

using Filters = google::protobuf::RepeatedField<uint32_t>;

Result<> CheckFilter(const ProcStatus& status, const std::vector<sock_filter>& program) {
  for (const sock_filter& instruction : program) {
    const bool returns_constant = instruction.code == (BPF_RET | BPF_K);
    if (!returns_constant || (instruction.k & SECCOMP_RET_ACTION_FULL) != SECCOMP_RET_USER_NOTIF) continue;
    return MakeError(
        ErrorCode::kNotSupported,
        "process {} ({}) has a seccomp filter that asks a supervisor (SECCOMP_RET_USER_NOTIF): who listens "
        "cannot be found; start it without",
        status.tgid, status.name);
  }
  return {};
}

uint32_t PlaceInList(const pb::SeccompFilterRecord& filter, pb::ProcessRecord& process) {
  uint32_t place = 0;
  for (const pb::SeccompFilterRecord& known : process.seccomp_filters()) {
    if (known.program() == filter.program() && known.flags() == filter.flags()) return place;
    ++place;
  }
  *process.add_seccomp_filters() = filter;
  return place;
}

Result<> Install(RemoteSyscalls& calls, const pb::ProcessRecord& process, uint32_t place, uint64_t more_flags) {
  if (std::cmp_greater_equal(place, process.seccomp_filters_size())) {
    return MakeError(ErrorCode::kCorrupt, "process {}: seccomp filter {}", process.pid(), place);
  }
  const pb::SeccompFilterRecord& filter = process.seccomp_filters(static_cast<int>(place));
  if (filter.program().size() % sizeof(sock_filter) != 0 || filter.program().size() > kMaxProgramBytes) {
    return MakeError(ErrorCode::kCorrupt, "process {}: a seccomp filter of {} bytes", process.pid(),
                     filter.program().size());
  }
  calls.ResetArguments();
  BATON_TRY(const RemotePtr<> code, calls.Put(std::as_bytes(std::span(filter.program()))));
  const auto length = static_cast<uint16_t>(filter.program().size() / sizeof(sock_filter));
  BATON_TRY(const auto program, calls.PutValue(sock_fprog{length, reinterpret_cast<sock_filter*>(code.value())}));
  BATON_TRY(const int64_t result, calls.Do("install a seccomp filter", SYS_seccomp, SECCOMP_SET_MODE_FILTER,
                                           filter.flags() | more_flags, program));
  if (result == 0) return {};
  return MakeError(ErrorCode::kInternal, "process {}: thread {} does not take a seccomp filter", process.pid(), result);
}

// A first thread that has ended counts for nothing.
int FirstLiving(const pb::ProcessRecord& process) { return process.threads(0).exited() ? 1 : 0; }

// How many filters, counted from the oldest, all threads have in common.
int CommonFilters(const pb::ProcessRecord& process) {
  const Filters& first = process.threads(FirstLiving(process)).seccomp_filters();
  auto end = first.end();
  for (const pb::ThreadRecord& thread : process.threads()) {
    if (thread.exited()) continue;
    const Filters& other = thread.seccomp_filters();
    end = std::mismatch(first.begin(), end, other.begin(), other.end()).first;
  }
  return static_cast<int>(end - first.begin());
}

Result<> InstallRest(BlankTask& thread, const pb::ProcessRecord& process, const pb::ThreadRecord& record, int common) {
  RemoteSyscalls& calls = thread.calls();
  if (record.seccomp() == SECCOMP_MODE_STRICT) {
    BATON_CHECKED(calls.Do("seccomp strict mode", SYS_prctl, PR_SET_SECCOMP, SECCOMP_MODE_STRICT, 0, 0, 0));
  }
  for (int i = common; i < record.seccomp_filters_size(); ++i) {
    BATON_CHECKED(Install(calls, process, record.seccomp_filters(i), 0));
  }
  return {};
}

}  // namespace

Result<> SuspendSeccomp(const ProcStatus& status, pid_t tid) {
  if (status.seccomp == SECCOMP_MODE_DISABLED) return {};
  auto suspended = SetOptions(tid, PTRACE_O_TRACESYSGOOD | kSuspendSeccomp);
  if (!suspended && suspended.error().saved_errno() == EPERM) {
    return MakeError(
        ErrorCode::kNotSupported,
        "process {} ({}) has a seccomp {}: our system calls in it would kill it; run Baton as root, itself "
        "without seccomp, or start it without",
        status.tgid, status.name, status.seccomp == SECCOMP_MODE_STRICT ? "strict mode" : "filter");
  }
  if (!suspended) return suspended;
  for (uint64_t index = 0; status.seccomp == SECCOMP_MODE_FILTER; ++index) {
    BATON_TRY(const auto program, GetSeccompFilter(tid, index));
    if (!program) break;
    BATON_CHECKED(CheckFilter(status, *program));
  }
  return {};
}

Result<> CaptureSeccomp(const ProcStatus& status, pid_t tid, pb::ProcessRecord& process, pb::ThreadRecord& thread) {
  thread.set_seccomp(status.seccomp);
  for (uint64_t index = 0; status.seccomp == SECCOMP_MODE_FILTER; ++index) {
    BATON_TRY(const auto program, GetSeccompFilter(tid, index));
    if (!program) break;
    BATON_TRY(const uint64_t flags, GetSeccompFilterFlags(tid, index));
    pb::SeccompFilterRecord filter;
    filter.set_program(program->data(), program->size() * sizeof(sock_filter));
    filter.set_flags(static_cast<uint32_t>(flags));
    thread.add_seccomp_filters(PlaceInList(filter, process));
  }
  return {};
}

Result<> RestoreSeccomp(const std::vector<std::unique_ptr<BlankTask>>& threads, const pb::ProcessRecord& process) {
  const auto has_seccomp = [](const pb::ThreadRecord& thread) { return thread.seccomp() != SECCOMP_MODE_DISABLED; };
  if (std::ranges::none_of(process.threads(), has_seccomp)) return {};
  BATON_CHECKED(FailPoint("restore.seccomp"));
  for (const auto& thread : threads) {
    auto suspended = thread->SuspendSeccomp();
    if (suspended) continue;
    if (suspended.error().saved_errno() != EPERM) return suspended;
    return MakeError(ErrorCode::kNotSupported, "process {} had seccomp, which only root can restore, itself without it",
                     process.pid());
  }
  const int common = CommonFilters(process);
  const int first = FirstLiving(process);
  const uint64_t to_all = threads.size() > 1 ? SECCOMP_FILTER_FLAG_TSYNC : 0;
  for (int i = 0; i < common; ++i) {
    BATON_CHECKED(Install(threads[static_cast<size_t>(first)]->calls(), process,
                          process.threads(first).seccomp_filters(i), to_all));
  }
  for (size_t i = static_cast<size_t>(first); i < threads.size(); ++i) {
    BATON_CHECKED(InstallRest(*threads[i], process, process.threads(static_cast<int>(i)), common));
  }
  return {};
}

}  // namespace baton
