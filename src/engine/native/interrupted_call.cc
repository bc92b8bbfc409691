#include "engine/native/interrupted_call.h"

#include <sys/syscall.h>
#include <time.h>

#include <algorithm>

#include "base/fault.h"
#include "engine/native/broken_off_call.h"
#include "proc/process_files.h"

namespace baton {
namespace {

constexpr int64_t kNsPerSecond = 1'000'000'000;

int64_t NowNs() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * kNsPerSecond + now.tv_nsec;
}

// The program's code names the call: `mov $number, %eax` right before `syscall`, as every C library has it.
std::optional<int64_t> NumberFromCode(pid_t tid, const Registers& registers) {
  constexpr uint8_t kMovEax = 0xb8;
  struct [[gnu::packed]] Code {
    uint8_t opcode;
    uint32_t number;
  };
  const RemotePtr<Code> at(registers.instruction().value() - 2 - sizeof(Code));
  const auto code = ReadRemoteValue(tid, at);
  if (!code || code->opcode != kMovEax) return std::nullopt;
  return code->number;
}

struct Remaining {
  PendingCall call;
  std::optional<int64_t> left_ns;
};

// For restart_syscall: which call it is really, and what is left of its time.
Result<Remaining> ResolveRestarted(const FrozenTask& task, uint64_t start_time, const CallMemory& memory) {
  Remaining out{.call = CallOf(task), .left_ns = std::nullopt};
  if (out.call.number != SYS_restart_syscall) {
    BATON_TRY(out.left_ns, RemainingNs(task.tid, out.call));
    return out;
  }
  const auto known =
      memory.Recall(task.tid, start_time, task.registers.instruction().value(), task.registers.stack().value());
  if (known) {
    out.call.number = known->number;
    out.call.arguments = known->arguments;
    if (known->deadline_ns) out.left_ns = std::max<int64_t>(0, *known->deadline_ns - NowNs());
    return out;
  }
  const auto number = NumberFromCode(task.tid, task.registers);
  if (!number) {
    return MakeError(ErrorCode::kNotSupported,
                     "thread {} continues an interrupted system call that cannot be told from outside; try again later",
                     task.tid);
  }
  out.call.number = *number;
  BATON_TRY(out.left_ns, RemainingNs(task.tid, out.call));
  return out;
}

Result<> CaptureRestartBlock(pid_t pid, const FrozenTask& task, pb::ThreadRecord& record, CallMemory& memory) {
  BATON_TRY(const ProcStat stat, ReadStat(pid, task.tid));
  BATON_TRY(const Remaining resolved, ResolveRestarted(task, stat.starttime, memory));
  pb::InterruptedCallRecord* out = record.mutable_interrupted();
  out->set_number(resolved.call.number);
  for (const uint64_t argument : resolved.call.arguments) out->add_arguments(argument);
  out->set_timed(resolved.left_ns.has_value());
  out->set_remaining_ns(resolved.left_ns.value_or(0));
  memory.Remember(task.tid, RememberedCall(*out, task.registers, stat.starttime));
  return {};
}

}  // namespace

Result<> CaptureInterruptedCall(pid_t pid, const FrozenTask& task, pb::ThreadRecord& record, CallMemory& memory) {
  BATON_CHECKED(FailPoint("capture.interrupted_call"));
  switch (ClassifyInterrupted(task.registers)) {
    case Interrupted::kNone:
      memory.Forget(task.tid);
      return {};
    case Interrupted::kRestart:
      return {};
    case Interrupted::kRestartBlock:
      return CaptureRestartBlock(pid, task, record, memory);
    case Interrupted::kLeakedInterrupt:
      return {};
  }
  return {};
}

CallMemory::Entry RememberedCall(const pb::InterruptedCallRecord& call, const Registers& registers,
                                 uint64_t start_time) {
  CallMemory::Entry entry{.number = call.number(),
                          .arguments = {},
                          .deadline_ns = std::nullopt,
                          .start_time = start_time,
                          .instruction = registers.instruction().value(),
                          .stack = registers.stack().value()};
  std::copy_n(call.arguments().begin(), entry.arguments.size(), entry.arguments.begin());
  if (call.timed()) entry.deadline_ns = NowNs() + call.remaining_ns();
  return entry;
}

Registers HealedRegisters(const Registers& registers) {
  switch (ClassifyInterrupted(registers)) {
    case Interrupted::kNone:
    case Interrupted::kLeakedInterrupt:
      return registers;
    case Interrupted::kRestartBlock:
      return RewoundToCall(registers, SYS_restart_syscall);
    case Interrupted::kRestart:
      return RewoundToCall(registers, registers.system_call());
  }
  return registers;
}

}  // namespace baton
