#include "task/arch/x86_64/registers.h"

#include <elf.h>
#include <sys/syscall.h>

#include <cerrno>
#include <span>

#include "base/check.h"
#include "task/ptrace.h"

namespace baton {
namespace {

// Kernel-internal results (include/linux/errno.h); user space sees them only through ptrace.
constexpr int64_t kErestartsys = -512;
constexpr int64_t kErestartnointr = -513;
constexpr int64_t kErestartnohand = -514;
constexpr int64_t kErestartRestartblock = -516;
constexpr uint64_t kSyscallInstructionBytes = 2;

bool ReturnsEintrWhenStopped(int64_t system_call) {
  switch (system_call) {
    case SYS_epoll_wait:
    case SYS_epoll_pwait:
    case SYS_epoll_pwait2:
    case SYS_rt_sigtimedwait:
    case SYS_semop:
    case SYS_semtimedop:
    case SYS_io_getevents:
    case SYS_io_pgetevents:
    case SYS_recvfrom:
    case SYS_recvmsg:
    case SYS_recvmmsg:
    case SYS_sendto:
    case SYS_sendmsg:
    case SYS_accept:
    case SYS_accept4:
    case SYS_connect:
    case SYS_read:
    case SYS_readv:
    case SYS_write:
    case SYS_writev:
    case SYS_io_uring_enter:
      return true;
    default:
      return false;
  }
}

unsigned long long& ArgumentOf(user_regs_struct& raw, int index) {
  switch (index) {
    case 0:
      return raw.rdi;
    case 1:
      return raw.rsi;
    case 2:
      return raw.rdx;
    case 3:
      return raw.r10;
    case 4:
      return raw.r8;
    case 5:
      return raw.r9;
    default:
      break;
  }
  BATON_CHECK(index >= 0 && index < 6);
  return raw.rdi;
}

}  // namespace

uint64_t Registers::argument(int index) const { return ArgumentOf(const_cast<user_regs_struct&>(raw), index); }
void Registers::set_argument(int index, uint64_t value) { ArgumentOf(raw, index) = value; }

void Registers::SetResult(int64_t number, int64_t result) {
  raw.rax = static_cast<uint64_t>(result);
  // A finished call must not be taken up again.
  raw.orig_rax = static_cast<uint64_t>(result == kErestartRestartblock ? number : -1);
}

Result<Registers> GetRegisters(pid_t tid) {
  BATON_TRY(const std::vector<std::byte> bytes, GetRegisterSet(tid, NT_PRSTATUS, sizeof(user_regs_struct)));
  Registers registers;
  if (bytes.size() != sizeof registers.raw) {
    return MakeError(ErrorCode::kNotSupported, "task {} is a 32-bit task: only 64-bit tasks can be saved", tid);
  }
  std::copy(bytes.begin(), bytes.end(), reinterpret_cast<std::byte*>(&registers.raw));
  return registers;
}

Result<> SetRegisters(pid_t tid, const Registers& registers) {
  return SetRegisterSet(tid, NT_PRSTATUS, std::as_bytes(std::span(&registers.raw, 1)));
}

Interrupted ClassifyInterrupted(const Registers& registers) {
  if (registers.system_call() < 0) return Interrupted::kNone;
  switch (registers.result()) {
    case kErestartsys:
    case kErestartnointr:
    case kErestartnohand:
      return Interrupted::kRestart;
    case kErestartRestartblock:
      return Interrupted::kRestartBlock;
    case -EINTR:
      return ReturnsEintrWhenStopped(registers.system_call()) ? Interrupted::kLeakedInterrupt : Interrupted::kNone;
    default:
      return Interrupted::kNone;
  }
}

Registers RewoundToCall(Registers registers, int64_t system_call) {
  registers.raw.rip -= kSyscallInstructionBytes;
  registers.raw.rax = static_cast<uint64_t>(system_call);
  registers.raw.orig_rax = static_cast<uint64_t>(-1);
  return registers;
}

}  // namespace baton
