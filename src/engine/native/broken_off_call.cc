#include "engine/native/broken_off_call.h"

#include <time.h>

#include <csignal>
#include <span>
#include <utility>

#include "base/log.h"
#include "proc/process_files.h"
#include "task/ptrace.h"
#include "task/remote_memory.h"

namespace baton {
namespace {

constexpr int64_t kNsPerSecond = 1'000'000'000;
constexpr int64_t kNsPerMs = 1'000'000;
constexpr uint64_t kRedZoneBytes = 128;  // System V ABI: below the stack pointer, may be in use

constexpr uint64_t Bit(int signal) { return uint64_t{1} << (signal - 1); }

// Registers that make the call again with the time left. A time that is passed by address is put below the red zone of
// the thread's stack: the kernel reads it as soon as the thread goes on, and nobody else looks there.
Result<Registers> WithTimeLeft(pid_t pid, const Registers& registers, const PendingCall& call, int64_t left_ns) {
  Registers rewound = RewoundToCall(registers, call.number);
  const auto timeout = RelativeTimeout(call.number, call.arguments);
  if (!timeout) return rewound;
  if (timeout->form == TimeoutArgument::Form::kMilliseconds) {
    rewound.set_argument(timeout->index, static_cast<uint64_t>((left_ns + kNsPerMs - 1) / kNsPerMs));
    return rewound;
  }
  const timespec left{left_ns / kNsPerSecond, left_ns % kNsPerSecond};
  const uint64_t at = (registers.stack().value() - kRedZoneBytes - sizeof left) & ~uint64_t{15};
  BATON_TRY(const RemoteMemory memory, RemoteMemory::Open(pid));
  BATON_CHECKED(memory.Write(RemotePtr<>(at), std::as_bytes(std::span(&left, 1))));
  rewound.set_argument(timeout->index, at);
  return rewound;
}

Result<Registers> Rewound(const FrozenTask& task) {
  const PendingCall call = CallOf(task);
  BATON_TRY(const std::optional<int64_t> left_ns, RemainingNs(task.tid, call));
  if (!left_ns) return RewoundToCall(task.registers, call.number);
  return WithTimeLeft(task.tid, task.registers, call, *left_ns);
}

}  // namespace

PendingCall CallOf(const FrozenTask& task) {
  PendingCall call;
  call.number = task.registers.system_call();
  for (int i = 0; i < 6; ++i) call.arguments[static_cast<size_t>(i)] = task.registers.argument(i);
  const bool same = task.before && task.before->number == call.number && task.before->arguments == call.arguments;
  if (same) call.sleep = task.before->sleep;
  return call;
}

bool SignalIsDue(pid_t tid) {
  constexpr uint64_t kIgnoredByDefault = Bit(SIGCHLD) | Bit(SIGCONT) | Bit(SIGURG) | Bit(SIGWINCH);
  const auto status = ReadStatus(tid);
  if (!status) return false;
  const uint64_t ignored = status->sig_ign | (kIgnoredByDefault & ~status->sig_cgt);
  return ((status->sig_pnd | status->shd_pnd) & ~status->sig_blk & ~ignored) != 0;
}

Result<> RewindBrokenOffCall(FrozenTask& task) {
  if (ClassifyInterrupted(task.registers) != Interrupted::kLeakedInterrupt || SignalIsDue(task.tid)) return {};
  const auto rewound = Rewound(task);
  if (!rewound) {
    BATON_LOG(kInfo, "task {} will see EINTR: {}", task.tid, rewound.error().ToString());
    return {};
  }
  task.interrupted = std::exchange(task.registers, *rewound);
  return SetRegisters(task.tid, task.registers);
}

}  // namespace baton
