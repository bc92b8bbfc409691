// General registers of a stopped task and what the kernel will do with an interrupted system call when it goes on.
// Sources: ptrace(2), arch/x86/kernel/signal.c (arch_do_signal_or_restart), Linux 6.1 to 6.18.
#pragma once

#include <sys/types.h>
#include <sys/user.h>

#include <cstdint>

#include "base/result.h"
#include "task/remote_ptr.h"

namespace baton {

struct Registers {
  user_regs_struct raw{};

  RemotePtr<> instruction() const { return RemotePtr<>(raw.rip); }
  RemotePtr<> stack() const { return RemotePtr<>(raw.rsp); }
  // The number of the system call the task was stopped in; -1 if it was not in one.
  int64_t system_call() const { return static_cast<int64_t>(raw.orig_rax); }
  int64_t result() const { return static_cast<int64_t>(raw.rax); }
  uint64_t argument(int index) const;
  void set_argument(int index, uint64_t value);
  // As right after system call `number` gave `result`, which may be one of the kernel's restart codes.
  void SetResult(int64_t number, int64_t result);
  void set_instruction(RemotePtr<> address) { raw.rip = address.value(); }
  void set_stack(RemotePtr<> stack) { raw.rsp = stack.value(); }
  // 64-bit code segment? (a 32-bit task is not supported)
  bool Is64Bit() const { return raw.cs == 0x33; }
};

Result<Registers> GetRegisters(pid_t tid);
Result<> SetRegisters(pid_t tid, const Registers& registers);

// What was seen of an interrupted system call.
enum class Interrupted {
  kNone,             // not in a system call, or it returned for good
  kRestart,          // ERESTARTSYS, ERESTARTNOINTR, ERESTARTNOHAND: made again with the same arguments
  kRestartBlock,     // ERESTART_RESTARTBLOCK: the kernel holds the remaining time
  kLeakedInterrupt,  // -EINTR that only our stop caused (epoll_wait, sigtimedwait, semtimedop, recv with time-out, ...)
};
Interrupted ClassifyInterrupted(const Registers& registers);

// The registers with which the system call is made again from the start (instruction pointer back on `syscall`).
// REQUIRES: Classify is not kNone.
Registers RewoundToCall(Registers registers, int64_t system_call);

}  // namespace baton
