// System calls made *in* a stopped task, from outside: a batch costs one stop (see arch/*/stub_code.h).
//
// Thread-safety: only from the thread that seized the task. Errors: kTaskGone if it dies meanwhile; kInternal if the
// injected code is hit by an unexpected signal.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <optional>
#include <span>
#include <string_view>
#include <type_traits>
#include <utility>

#include "base/result.h"
#include "task/arch/x86_64/stub_code.h"
#include "task/remote_memory.h"
#include "task/remote_ptr.h"
#include "task/wait_status.h"

namespace baton {

// Where injected code and its data lie in the target.
struct InjectionSite {
  RemotePtr<> code;
  StubCode stub;
  RemotePtr<> data;  // writable pages: first the calls of a batch, then their arguments
  size_t data_bytes = 0;
};

class RemoteSyscalls {
 public:
  static constexpr size_t kMaxBatch = 64;
  static constexpr size_t kBatchBytes = kMaxBatch * sizeof(RemoteCall);

  // REQUIRES: `tid` is stopped and traced by this thread, with `base` its registers; all signals but the marker's are
  // blocked in it. `memory` outlives this object.
  RemoteSyscalls(pid_t tid, const RemoteMemory& memory, InjectionSite site, const Registers& base, const Marker& marker)
      : tid_(tid), memory_(&memory), site_(std::move(site)), base_(base), marker_(marker) {}

  pid_t tid() const { return tid_; }
  pid_t pid() const { return memory_->pid(); }
  const RemoteMemory& memory() const { return *memory_; }
  const InjectionSite& site() const { return site_; }

  // Makes the calls in order; each result as the kernel gives it (-errno on failure). Any number of calls.
  Result<> Run(std::span<RemoteCall> calls);
  // One call; its result as the kernel gives it.
  template <typename... Args>
  Result<int64_t> Call(long number, Args... args) {
    RemoteCall call{static_cast<uint64_t>(number), {Word(args)...}};
    BATON_CHECKED(RunOne(call));
    return call.result;
  }
  // One call that must not fail: a negative result becomes an ErrnoError that says `what`.
  template <typename... Args>
  Result<int64_t> Do(std::string_view what, long number, Args... args) {
    BATON_TRY(const int64_t result, Call(number, args...));
    if (result < 0 && result > -4096) return ErrnoError(static_cast<int>(-result), "{} in process {}", what, pid());
    return result;
  }

  // Argument memory: valid until ResetArguments. kInternal when it is full (argument_room()).
  Result<RemotePtr<>> Reserve(size_t bytes);
  Result<RemotePtr<>> Put(std::span<const std::byte> bytes);
  Result<RemotePtr<>> PutString(std::string_view text);
  template <typename T>
  Result<RemotePtr<T>> PutValue(const T& value) {
    static_assert(std::is_trivially_copyable_v<T>);
    BATON_TRY(const RemotePtr<> at, Put(std::as_bytes(std::span(&value, 1))));
    return at.template As<T>();
  }
  template <typename T>
  Result<T> Get(RemotePtr<T> at) const {
    static_assert(std::is_trivially_copyable_v<T>);
    T value{};
    BATON_CHECKED(memory_->Read(at.template As<std::byte>(), std::as_writable_bytes(std::span(&value, 1))));
    return value;
  }
  void ResetArguments() { used_ = kBatchBytes; }
  size_t argument_room() const { return site_.data_bytes - used_; }

  // One call through registers alone, before there is argument memory.
  Result<> RunOne(RemoteCall& call);
  // Enters the code that makes a shadow, up to the birth of its helper: the helper's number in the tracer's pid
  // namespace, or none if it could not be made. Then FinishShadow, which returns once the helper has ended.
  // REQUIRES: PTRACE_O_TRACECLONE.
  Result<std::optional<pid_t>> BeginShadow();
  Result<> FinishShadow() { return ContinueToMarker(); }
  // A child or thread that the last call made: its number in the tracer's pid namespace (needs PTRACE_O_TRACECLONE
  // etc.).
  std::optional<pid_t> TakeNewTask() { return std::exchange(new_task_, std::nullopt); }
  // A stop signal from outside arrived during a call; it was held back and is owed to the task.
  bool stop_owed() const { return stop_owed_; }

 private:
  template <typename T>
  static uint64_t Word(T value) {
    if constexpr (requires { value.value(); }) {
      return value.value();
    } else if constexpr (std::is_pointer_v<T>) {
      return reinterpret_cast<uint64_t>(value);
    } else {
      return static_cast<uint64_t>(static_cast<int64_t>(value));
    }
  }
  Result<> RunBatch(std::span<RemoteCall> calls);
  Result<> ContinueToMarker();
  Result<bool> AtMarker(WaitStatus status);

  pid_t tid_;
  const RemoteMemory* memory_;
  InjectionSite site_;
  Registers base_;
  Marker marker_;
  size_t used_ = kBatchBytes;
  std::optional<pid_t> new_task_;
  bool stop_owed_ = false;
};

}  // namespace baton
