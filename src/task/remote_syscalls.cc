#include "task/remote_syscalls.h"

#include <algorithm>
#include <csignal>
#include <vector>

#include "task/ptrace.h"

namespace baton {

Result<> RemoteSyscalls::Run(std::span<RemoteCall> calls) {
  while (!calls.empty()) {
    const size_t count = std::min(calls.size(), kMaxBatch);
    BATON_CHECKED(RunBatch(calls.first(count)));
    calls = calls.subspan(count);
  }
  return {};
}

Result<> RemoteSyscalls::RunBatch(std::span<RemoteCall> calls) {
  BATON_CHECKED(memory_->Write(site_.data, std::as_bytes(calls)));
  BATON_CHECKED(SetRegisters(tid_, EnterLoop(base_, site_.code, site_.stub, site_.data, calls.size(), marker_)));
  BATON_CHECKED(ContinueToMarker());
  return memory_->Read(site_.data, std::as_writable_bytes(calls));
}

Result<> RemoteSyscalls::RunOne(RemoteCall& call) {
  BATON_CHECKED(SetRegisters(tid_, EnterSingle(base_, site_.code, site_.stub, call, marker_)));
  BATON_CHECKED(ContinueToMarker());
  BATON_TRY(const Registers registers, GetRegisters(tid_));
  call.result = SingleResult(registers);
  return {};
}

Result<std::optional<pid_t>> RemoteSyscalls::BeginShadow() {
  BATON_CHECKED(SetRegisters(tid_, EnterShadow(base_, site_.code, site_.stub, marker_)));
  for (bool at_end = false; !at_end && !new_task_;) {
    BATON_CHECKED(Continue(tid_));
    BATON_TRY(const WaitStatus status, WaitFor(tid_));
    BATON_TRY(at_end, AtMarker(status));
  }
  return TakeNewTask();
}

Result<> RemoteSyscalls::ContinueToMarker() {
  while (true) {
    BATON_CHECKED(Continue(tid_));
    BATON_TRY(const WaitStatus status, WaitFor(tid_));
    BATON_TRY(const bool done, AtMarker(status));
    if (done) return {};
  }
}

Result<bool> RemoteSyscalls::AtMarker(WaitStatus status) {
  if (status.Gone()) return MakeError(ErrorCode::kTaskGone, "task {} died during a remote call", tid_);
  if (status.EventStop()) return false;  // an interrupt that was still under way, or a group stop: go on
  if (status.event() == PTRACE_EVENT_CLONE || status.event() == PTRACE_EVENT_FORK ||
      status.event() == PTRACE_EVENT_VFORK) {
    BATON_TRY(const uint64_t message, GetEventMessage(tid_));
    new_task_ = static_cast<pid_t>(message);
    return false;
  }
  if (status.event() != 0) return false;
  BATON_TRY(const Registers registers, GetRegisters(tid_));
  const bool at_end = registers.instruction() == site_.code + site_.stub.heal;
  if (status.SignalDelivery(marker_.signal)) return at_end;
  if (status.SignalDelivery(SIGSTOP)) {  // cannot be blocked; SIGKILL, the other one, is not reported
    stop_owed_ = true;
    return false;
  }
  return MakeError(ErrorCode::kInternal, "signal {} at {:#x} during a remote call in task {}", status.stop_signal(),
                   registers.instruction().value(), tid_);
}

Result<RemotePtr<>> RemoteSyscalls::Reserve(size_t bytes) {
  constexpr size_t kAlign = 16;
  const size_t rounded = (bytes + kAlign - 1) / kAlign * kAlign;
  if (rounded > argument_room())
    return MakeError(ErrorCode::kInternal, "remote argument memory is full ({} bytes)", bytes);
  const RemotePtr<> at = site_.data + used_;
  used_ += rounded;
  return at;
}

Result<RemotePtr<>> RemoteSyscalls::Put(std::span<const std::byte> bytes) {
  BATON_TRY(const RemotePtr<> at, Reserve(bytes.size()));
  BATON_CHECKED(memory_->Write(at, bytes));
  return at;
}

Result<RemotePtr<>> RemoteSyscalls::PutString(std::string_view text) {
  std::vector<std::byte> bytes(text.size() + 1);
  std::copy_n(reinterpret_cast<const std::byte*>(text.data()), text.size(), bytes.begin());
  return Put(bytes);
}

}  // namespace baton
