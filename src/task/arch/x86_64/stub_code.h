// The few machine instructions that a borrowed thread runs for us. They are written into unused bytes of the target's
// vDSO (page padding after its ELF image), so no mapping is needed to begin with, and they carry, as immediates, the
// registers the thread had: if the tracer dies at any moment, the thread runs on to the end of this code by itself, and
// that puts back its signal mask, unmaps the scratch pages and jumps to where it was, registers as they were.
// (A signal frame and rt_sigreturn would do the same but destroys the kernel's restart block of an interrupted sleep.)
//
//   magic:   16 bytes that are never run: by them a later tracer knows what a dead one left
//   loop:    rcx = r13; if rcx == 0 goto marker         r12 -> next RemoteCall, r13 = how many are left
//            rax.. = [r12]; syscall; [r12+56] = rax; r12 += 64; r13 -= 1; goto loop
//   shadow:  r13 = clone(CLONE_VM); in the thread: wait4(r13), goto marker
//                                   in the helper: clone(SIGCHLD); exit_group(0), in the shadow likewise
//   single:  syscall; r13 = rax                          registers preset: one call without scratch memory
//   marker:  tgkill(rbx, rbp, r14)                       a signal the target ignores: the stop in which we take over
//   heal:    rt_sigprocmask(SIG_SETMASK, mask); munmap(scratch); all registers; jmp target
//
// No instruction touches the flags, the stack or vector registers. Source: Intel SDM 2A/2B; System V ABI x86-64.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "task/arch/x86_64/registers.h"
#include "task/remote_ptr.h"

namespace baton {

// One system call in a batch; the layout is known to the machine code.
struct RemoteCall {
  uint64_t number = 0;
  uint64_t arguments[6] = {};
  int64_t result = 0;
};
static_assert(sizeof(RemoteCall) == 64);

// What the code does when the tracer is gone.
struct HealPlan {
  Registers registers;  // to go on with: already rewound where a system call was interrupted
  uint64_t signal_mask = 0;
  RemotePtr<> scratch;
  uint64_t scratch_bytes = 0;
};

struct StubCode {
  std::vector<std::byte> bytes;
  size_t loop = 0;  // offsets of the entries
  size_t single = 0;
  size_t shadow = 0;
  size_t heal = 0;  // the instruction after the marker's `syscall`: where we find the thread when its batch is done
};

// Upper bound of StubCode::bytes.
inline constexpr size_t kStubCodeMaxBytes = 576;

StubCode BuildStubCode(const HealPlan& plan);

// The marker: who gets which signal (numbers as the target's pid namespace has them).
struct Marker {
  pid_t ns_tgid = 0;
  pid_t ns_tid = 0;
  int signal = 0;
};
// Registers (on the basis of the thread's own, for segments and flags) that enter the code.
Registers EnterLoop(const Registers& base, RemotePtr<> code, const StubCode& stub, RemotePtr<> calls, size_t count,
                    const Marker& marker);
Registers EnterSingle(const Registers& base, RemotePtr<> code, const StubCode& stub, const RemoteCall& call,
                      const Marker& marker);
// Makes a helper that makes a shadow (shadow_process.h). Whatever of them runs on by itself ends.
Registers EnterShadow(const Registers& base, RemotePtr<> code, const StubCode& stub, const Marker& marker);
// After EnterSingle: the system call's result.
int64_t SingleResult(const Registers& registers);

// Offset of unused bytes in a vDSO image, enough for the code; aligned to 16. They are zero, or hold code that a tracer
// which died has left there.
std::optional<size_t> FindCodeGap(std::span<const std::byte> vdso);

// Given the kStubCodeMaxBytes bytes before a thread's instruction pointer: whether it runs such code.
bool RunsStubCode(std::span<const std::byte> before_instruction);

}  // namespace baton
