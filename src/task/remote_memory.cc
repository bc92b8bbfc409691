#include "task/remote_memory.h"

#include <fcntl.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/fault.h"
#include "base/file.h"
#include "proc/process_files.h"

namespace baton {
namespace {

Error GoneOr(Error error, pid_t pid) {
  if (error.saved_errno() != ESRCH) return error;
  return {ErrorCode::kTaskGone, ESRCH, fmt::format("memory of process {}", pid)};
}

// Whole words: of the last one, what is there already stays.
Result<> PokeAll(pid_t pid, RemotePtr<> address, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    long word = 0;
    const size_t part = std::min(bytes.size(), sizeof word);
    if (part < sizeof word) {
      BATON_TRY(word, ReadRemoteValue(pid, address.As<long>()));
    }
    std::memcpy(&word, bytes.data(), part);
    const long put = ptrace(PTRACE_POKEDATA, pid, address.value(), word);
    if (const int error = errno; put != 0) return GoneOr(ErrnoError(error, "memory of process {}", pid), pid);
    bytes = bytes.subspan(part);
    address = address + part;
  }
  return {};
}

}  // namespace

Result<size_t> ReadRemotePrefix(pid_t pid, RemotePtr<> address, std::span<std::byte> bytes) {
  iovec local{bytes.data(), bytes.size()};
  iovec remote{reinterpret_cast<void*>(address.value()), bytes.size()};
  const ssize_t got = process_vm_readv(pid, &local, 1, &remote, 1, 0);
  if (const int error = errno; got < 0) {
    return GoneOr(ErrnoError(error, "read {} bytes at {:#x} of process {}", bytes.size(), address.value(), pid), pid);
  }
  return static_cast<size_t>(got);
}

Result<> ReadRemote(pid_t pid, RemotePtr<> address, std::span<std::byte> bytes) {
  while (!bytes.empty()) {
    BATON_TRY(const size_t got, ReadRemotePrefix(pid, address, bytes));
    if (got == 0) return ErrnoError(EFAULT, "read at {:#x} of process {}", address.value(), pid);
    bytes = bytes.subspan(got);
    address = address + got;
  }
  return {};
}

Result<> WriteRemote(pid_t pid, RemotePtr<> address, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    iovec local{const_cast<std::byte*>(bytes.data()), bytes.size()};
    iovec remote{reinterpret_cast<void*>(address.value()), bytes.size()};
    const ssize_t put = process_vm_writev(pid, &local, 1, &remote, 1, 0);
    if (const int error = errno; put < 0) {
      if (error == ESRCH) return Error(ErrorCode::kTaskGone, error, fmt::format("process {}", pid));
      return ErrnoError(error, "write at {:#x} of process {}", address.value(), pid);
    }
    bytes = bytes.subspan(static_cast<size_t>(put));
    address = address + static_cast<uint64_t>(put);
  }
  return {};
}

Result<RemoteMemory> RemoteMemory::Open(pid_t pid) {
  auto fd = OpenProcessFile(pid, "mem", O_RDWR);
  if (!fd && fd.error().code() == ErrorCode::kNotFound) {
    return Error(ErrorCode::kTaskGone, fd.error().saved_errno(), fmt::format("process {}", pid));
  }
  if (!fd && fd.error().saved_errno() == EACCES) return RemoteMemory(pid, std::nullopt);
  if (!fd) return fd.Fail("memory of process {}", pid);
  return RemoteMemory(pid, std::move(*fd));
}

Result<> RemoteMemory::Read(RemotePtr<> address, std::span<std::byte> bytes) const {
  if (!fd_) return ReadRemote(pid_, address, bytes);
  auto done = PreadExactly(fd_->get(), bytes, address.value());
  if (!done) return std::move(done.error()).Context("memory of process {}", pid_);
  return {};
}

Result<size_t> RemoteMemory::ReadPrefix(RemotePtr<> address, std::span<std::byte> bytes) const {
  if (!fd_) return ReadRemotePrefix(pid_, address, bytes);
  size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t got =
        pread(fd_->get(), bytes.data() + done, bytes.size() - done, static_cast<off_t>(address.value() + done));
    const int error = errno;
    if (got < 0 && error == EINTR) continue;
    if (got < 0 && error != EIO && error != EFAULT) return ErrnoError(error, "memory of process {}", pid_);
    if (got <= 0) break;
    done += static_cast<size_t>(got);
  }
  return done;
}

Result<> RemoteMemory::Write(RemotePtr<> address, std::span<const std::byte> bytes) const {
  DiePoint();
  if (!fd_) return PokeAll(pid_, address, bytes);
  auto done = PwriteAll(fd_->get(), bytes, address.value());
  if (!done) return std::move(done.error()).Context("memory of process {}", pid_);
  return {};
}

}  // namespace baton
