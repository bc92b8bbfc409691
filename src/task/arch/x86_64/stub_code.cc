#include "task/arch/x86_64/stub_code.h"

#include <sched.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <initializer_list>
#include <string_view>

#include "base/check.h"

namespace baton {
namespace {

constexpr std::string_view kMagic =
    "\xf4"
    "Baton's stub 1";  // begins with hlt, should anybody jump there
static_assert(kMagic.size() == 15);
constexpr size_t kAlign = 16;

// Where the magic begins, at a multiple of `step`.
std::optional<size_t> FindMagic(std::span<const std::byte> bytes, size_t step) {
  for (size_t at = 0; at + kMagic.size() <= bytes.size(); at += step) {
    if (std::memcmp(bytes.data() + at, kMagic.data(), kMagic.size()) == 0) return at;
  }
  return std::nullopt;
}

// A tiny assembler: only the encodings needed here.
class Assembler {
 public:
  size_t here() const { return code_.size(); }
  void Bytes(std::initializer_list<unsigned> bytes) {
    for (const unsigned byte : bytes) code_.push_back(static_cast<std::byte>(byte));
  }
  void Word32(uint32_t value) { Append(&value, sizeof value); }
  void Word64(uint64_t value) { Append(&value, sizeof value); }
  void Syscall() { Bytes({0x0f, 0x05}); }
  // mov r64, imm64: B8+r with REX.W, REX.B for r8..r15
  void MoveImmediate(unsigned reg, uint64_t value) {
    Bytes({0x48U | (reg >> 3U), 0xb8U | (reg & 7U)});
    Word64(value);
  }
  // mov r32, imm32 (zero-extends)
  void MoveImmediate32(unsigned reg, uint32_t value) {
    if (reg >= 8) Bytes({0x41});
    Bytes({0xb8U | (reg & 7U)});
    Word32(value);
  }
  void Patch32(size_t at, uint32_t value) { std::memcpy(code_.data() + at, &value, sizeof value); }
  // The last byte of a short jump stands at `at`.
  void PatchJump(size_t at, size_t target) {
    const auto distance = static_cast<ptrdiff_t>(target) - static_cast<ptrdiff_t>(at + 1);
    BATON_CHECK(distance >= -128 && distance < 128);
    code_[at] = static_cast<std::byte>(distance & 0xff);
  }
  std::vector<std::byte> Take() { return std::move(code_); }

 private:
  void Append(const void* data, size_t size) {
    const auto* bytes = static_cast<const std::byte*>(data);
    code_.insert(code_.end(), bytes, bytes + size);
  }
  std::vector<std::byte> code_;
};

enum Reg : unsigned { kRax, kRcx, kRdx, kRbx, kRsp, kRbp, kRsi, kRdi, kR8, kR9, kR10, kR11, kR12, kR13, kR14, kR15 };

size_t EmitLoop(Assembler& code) {
  const size_t loop = code.here();
  code.Bytes({0x4c, 0x89, 0xe9});  // mov rcx, r13
  code.Bytes({0xe3, 0x00});        // jrcxz marker (patched): does not touch the flags
  const size_t jump_out = code.here() - 1;
  code.Bytes({0x49, 0x8b, 0x04, 0x24});        // mov rax, [r12]
  code.Bytes({0x49, 0x8b, 0x7c, 0x24, 0x08});  // mov rdi, [r12+8]
  code.Bytes({0x49, 0x8b, 0x74, 0x24, 0x10});  // mov rsi, [r12+16]
  code.Bytes({0x49, 0x8b, 0x54, 0x24, 0x18});  // mov rdx, [r12+24]
  code.Bytes({0x4d, 0x8b, 0x54, 0x24, 0x20});  // mov r10, [r12+32]
  code.Bytes({0x4d, 0x8b, 0x44, 0x24, 0x28});  // mov r8, [r12+40]
  code.Bytes({0x4d, 0x8b, 0x4c, 0x24, 0x30});  // mov r9, [r12+48]
  code.Syscall();
  code.Bytes({0x49, 0x89, 0x44, 0x24, 0x38});  // mov [r12+56], rax
  code.Bytes({0x4d, 0x8d, 0x64, 0x24, 0x40});  // lea r12, [r12+64]
  code.Bytes({0x4d, 0x8d, 0x6d, 0xff});        // lea r13, [r13-1]
  code.Bytes({0xeb, 0x00});                    // jmp loop
  code.PatchJump(code.here() - 1, loop);
  return jump_out;
}

void EmitCall(Assembler& code, uint32_t number, std::initializer_list<std::pair<Reg, uint32_t>> arguments) {
  for (const auto& [reg, value] : arguments) code.MoveImmediate32(reg, value);
  code.MoveImmediate32(kRax, number);
  code.Syscall();
}

void EmitMarker(Assembler& code) {
  code.Bytes({0x89, 0xdf});        // mov edi, ebx
  code.Bytes({0x89, 0xee});        // mov esi, ebp
  code.Bytes({0x44, 0x89, 0xf2});  // mov edx, r14d
  code.MoveImmediate32(kRax, SYS_tgkill);
  code.Syscall();
}

// The flags stay: whether a number is negative is told by its highest byte.
void EmitShadow(Assembler& code, size_t marker) {
  const auto jump_to_marker = [&] {
    code.Bytes({0xe9});  // jmp rel32
    code.Word32(static_cast<uint32_t>(marker - (code.here() + sizeof(uint32_t))));
  };
  EmitCall(code, SYS_clone, {{kRdi, CLONE_VM}, {kRsi, 0}, {kRdx, 0}, {kR10, 0}, {kR8, 0}});
  code.Bytes({0x49, 0x89, 0xc5});  // mov r13, rax
  code.Bytes({0x48, 0x89, 0xc1});  // mov rcx, rax
  code.Bytes({0xe3, 0x00});        // jrcxz helper (patched)
  const size_t to_helper = code.here() - 1;
  code.Bytes({0x48, 0x0f, 0xc9});  // bswap rcx
  code.Bytes({0x0f, 0xb6, 0xc9});  // movzx ecx, cl
  code.Bytes({0xe3, 0x05});        // jrcxz: over the next instruction
  jump_to_marker();                // there is no helper
  code.Bytes({0x4c, 0x89, 0xef});  // mov rdi, r13
  EmitCall(code, SYS_wait4, {{kRsi, 0}, {kRdx, __WALL}, {kR10, 0}});
  jump_to_marker();
  code.PatchJump(to_helper, code.here());
  EmitCall(code, SYS_clone, {{kRdi, SIGCHLD}, {kRsi, 0}, {kRdx, 0}, {kR10, 0}, {kR8, 0}});
  EmitCall(code, SYS_exit_group, {{kRdi, 0}});
}

void EmitHeal(Assembler& code, const HealPlan& plan) {
  code.MoveImmediate32(kRdi, SIG_SETMASK);
  code.Bytes({0x48, 0x8d, 0x35});  // lea rsi, [rip + mask] (patched)
  const size_t mask_at = code.here();
  code.Word32(0);
  code.MoveImmediate32(kRdx, 0);
  code.MoveImmediate32(kR10, sizeof plan.signal_mask);
  code.MoveImmediate32(kRax, SYS_rt_sigprocmask);
  code.Syscall();
  code.MoveImmediate(kRdi, plan.scratch.value());
  code.MoveImmediate32(kRsi, static_cast<uint32_t>(plan.scratch_bytes));
  code.MoveImmediate32(kRax, SYS_munmap);
  code.Syscall();
  const user_regs_struct& raw = plan.registers.raw;
  const std::pair<Reg, uint64_t> values[] = {{kRax, raw.rax}, {kRcx, raw.rcx}, {kRdx, raw.rdx}, {kRbx, raw.rbx},
                                             {kRbp, raw.rbp}, {kRsi, raw.rsi}, {kRdi, raw.rdi}, {kR8, raw.r8},
                                             {kR9, raw.r9},   {kR10, raw.r10}, {kR11, raw.r11}, {kR12, raw.r12},
                                             {kR13, raw.r13}, {kR14, raw.r14}, {kR15, raw.r15}};
  for (const auto& [reg, value] : values) code.MoveImmediate(reg, value);
  code.Bytes({0xff, 0x25, 0, 0, 0, 0});  // jmp [rip + 0]: the word that follows
  code.Word64(raw.rip);
  code.Patch32(mask_at, static_cast<uint32_t>(code.here() - (mask_at + 4)));
  code.Word64(plan.signal_mask);
}

// Every register the code reads beyond the system call's own.
Registers WithMarker(Registers registers, const Marker& marker) {
  registers.raw.rbx = static_cast<uint64_t>(marker.ns_tgid);
  registers.raw.rbp = static_cast<uint64_t>(marker.ns_tid);
  registers.raw.r14 = static_cast<uint64_t>(marker.signal);
  registers.raw.orig_rax = static_cast<uint64_t>(-1);  // no system call to restart
  return registers;
}

}  // namespace

StubCode BuildStubCode(const HealPlan& plan) {
  Assembler code;
  StubCode stub;
  for (const char letter : kMagic) code.Bytes({static_cast<unsigned char>(letter)});
  code.Bytes({0});
  stub.loop = code.here();
  const size_t jump_out = EmitLoop(code);
  stub.single = code.here();
  code.Syscall();
  code.Bytes({0x49, 0x89, 0xc5});  // mov r13, rax
  code.PatchJump(jump_out, code.here());
  const size_t marker = code.here();
  EmitMarker(code);
  stub.heal = code.here();
  EmitHeal(code, plan);
  stub.shadow = code.here();
  EmitShadow(code, marker);
  stub.bytes = code.Take();
  BATON_CHECK(stub.bytes.size() <= kStubCodeMaxBytes);
  return stub;
}

Registers EnterLoop(const Registers& base, RemotePtr<> code, const StubCode& stub, RemotePtr<> calls, size_t count,
                    const Marker& marker) {
  Registers registers = WithMarker(base, marker);
  registers.raw.rip = (code + stub.loop).value();
  registers.raw.r12 = calls.value();
  registers.raw.r13 = count;
  return registers;
}

Registers EnterSingle(const Registers& base, RemotePtr<> code, const StubCode& stub, const RemoteCall& call,
                      const Marker& marker) {
  Registers registers = WithMarker(base, marker);
  registers.raw.rip = (code + stub.single).value();
  registers.raw.rax = call.number;
  for (int i = 0; i < 6; ++i) registers.set_argument(i, call.arguments[i]);
  return registers;
}

Registers EnterShadow(const Registers& base, RemotePtr<> code, const StubCode& stub, const Marker& marker) {
  Registers registers = WithMarker(base, marker);
  registers.raw.rip = (code + stub.shadow).value();
  return registers;
}

int64_t SingleResult(const Registers& registers) { return static_cast<int64_t>(registers.raw.r13); }

std::optional<size_t> FindCodeGap(std::span<const std::byte> vdso) {
  if (const auto dead = FindMagic(vdso, kAlign); dead && *dead + kStubCodeMaxBytes <= vdso.size()) return dead;
  size_t run = 0;
  for (size_t end = vdso.size(); end > 0; --end) {
    run = vdso[end - 1] == std::byte{0} ? run + 1 : 0;
    const size_t start = end - 1;
    // One extra unit away from whatever stands before the gap.
    if (run >= kStubCodeMaxBytes + 2 * kAlign && start % kAlign == 0) return start + kAlign;
  }
  return std::nullopt;
}

bool RunsStubCode(std::span<const std::byte> before_instruction) {
  return FindMagic(before_instruction, 1).has_value();
}

}  // namespace baton
