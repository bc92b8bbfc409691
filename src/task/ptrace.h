// ptrace(2) of one task, as Results. All functions must be called from the thread that seized the task.
// Errors: ESRCH (the task died, or is not stopped) is kTaskGone; everything else as ErrnoError.
#pragma once

#include <linux/filter.h>
#include <sys/ptrace.h>
#include <sys/types.h>

#include <csignal>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/result.h"
#include "task/wait_status.h"

namespace baton {

// PTRACE_SEIZE: does not stop the task. kNotSupported (EPERM) if somebody else traces it or we may not.
Result<> Seize(pid_t tid, uint64_t options);
// Of a stopped task: all of them anew.
Result<> SetOptions(pid_t tid, uint64_t options);
Result<> Interrupt(pid_t tid);
// Lets the stopped task run, delivering `signal` if not 0.
Result<> Continue(pid_t tid, int signal = 0);
// Lets it run to the next entry to or exit from a system call.
Result<> ContinueToSystemCall(pid_t tid);
Result<> Detach(pid_t tid, int signal = 0);

// Waits for the next event of this one task, however long that takes.
Result<WaitStatus> WaitFor(pid_t tid);
// The same, at most `timeout_ms`; kUnavailable when that passes.
Result<WaitStatus> WaitFor(pid_t tid, int timeout_ms);

Result<uint64_t> GetSignalMask(pid_t tid);
Result<> SetSignalMask(pid_t tid, uint64_t mask);
// Pending signals, oldest first, without taking them from the queue; `shared`: those of the process.
Result<std::vector<siginfo_t>> PeekSignals(pid_t tid, bool shared);
Result<siginfo_t> GetSignalInfo(pid_t tid);
Result<uint64_t> GetEventMessage(pid_t tid);

// One register set (NT_X86_XSTATE, ...), whole.
Result<std::vector<std::byte>> GetRegisterSet(pid_t tid, int type, size_t max_bytes);
Result<> SetRegisterSet(pid_t tid, int type, std::span<const std::byte> bytes);

// Where the task registered restartable sequences; rseq_abi_pointer is 0 if it did not (Linux 5.13).
Result<__ptrace_rseq_configuration> GetRseqConfiguration(pid_t tid);

// Whether the task has its system calls sent to itself as signals (PR_SET_SYSCALL_USER_DISPATCH); false where the
// kernel cannot tell (before Linux 6.4).
bool HasSyscallDispatch(pid_t tid);

// PTRACE_O_SUSPEND_SECCOMP: while it is set, whatever the task has installed does not look at its system calls. To be
// set, it needs CAP_SYS_ADMIN outside all user namespaces, and a tracer without seccomp of its own; else EPERM.
inline constexpr uint64_t kSuspendSeccomp = uint64_t{1} << 21U;
// The task's `index`th seccomp filter, 0 the oldest; none if it has no such. Under the same conditions (EACCES).
Result<std::optional<std::vector<sock_filter>>> GetSeccompFilter(pid_t tid, uint64_t index);
// What of SECCOMP_FILTER_FLAG_* the kernel keeps for a filter.
Result<uint64_t> GetSeccompFilterFlags(pid_t tid, uint64_t index);

}  // namespace baton
