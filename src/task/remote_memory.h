// Reading and writing another process' memory from outside (process_vm_readv(2), /proc/PID/mem).
// Errors: kTaskGone if the process is gone, kIo at an address that is not mapped.
// Thread-safety: one thread at a time per object.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <optional>
#include <span>
#include <type_traits>

#include "base/result.h"
#include "base/unique_fd.h"
#include "task/remote_ptr.h"

namespace baton {

// All bytes or an error. Does not see through PROT_NONE; see RemoteMemory for that.
Result<> ReadRemote(pid_t pid, RemotePtr<> address, std::span<std::byte> bytes);
// As much of it as is mapped: the number of bytes read from the start.
Result<size_t> ReadRemotePrefix(pid_t pid, RemotePtr<> address, std::span<std::byte> bytes);

// All bytes or an error. Does not write where the process may not. Any thread may call it.
Result<> WriteRemote(pid_t pid, RemotePtr<> address, std::span<const std::byte> bytes);

template <typename T>
Result<T> ReadRemoteValue(pid_t pid, RemotePtr<T> address) {
  static_assert(std::is_trivially_copyable_v<T>);
  T value{};
  BATON_CHECKED(ReadRemote(pid, address.template As<std::byte>(), std::as_writable_bytes(std::span(&value, 1))));
  return value;
}

// /proc/PID/mem: reaches also what the process itself may not write or read (the kernel's FOLL_FORCE; only for a
// tracer). Of a process that is not dumpable that file is root's, even where we may trace it: then ptrace(2) does the
// writing, word by word, which only the tracer's thread can.
class RemoteMemory {
 public:
  static Result<RemoteMemory> Open(pid_t pid);

  pid_t pid() const { return pid_; }
  Result<> Read(RemotePtr<> address, std::span<std::byte> bytes) const;
  // As much of it as is mapped and has something behind it: the number of bytes read from the start.
  Result<size_t> ReadPrefix(RemotePtr<> address, std::span<std::byte> bytes) const;
  Result<> Write(RemotePtr<> address, std::span<const std::byte> bytes) const;

 private:
  RemoteMemory(pid_t pid, std::optional<UniqueFd> fd) : pid_(pid), fd_(std::move(fd)) {}
  pid_t pid_;
  std::optional<UniqueFd> fd_;
};

}  // namespace baton
