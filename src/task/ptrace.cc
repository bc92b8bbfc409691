#include "task/ptrace.h"

#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>

#include <cerrno>

#include "base/fault.h"

namespace baton {
namespace {

// glibc's enum type for requests refuses the newer ones; the kernel takes a long.
Result<int64_t> Ptrace(int request, pid_t tid, uint64_t address, void* data, const char* what) {
  errno = 0;
  const int64_t result = ptrace(static_cast<__ptrace_request>(request), tid, address, data);
  const int error = errno;
  if (result >= 0 || error == 0) return result;
  if (error == ESRCH) return Error(ErrorCode::kTaskGone, error, fmt::format("{} of task {}", what, tid));
  return ErrnoError(error, "{} of task {}", what, tid);
}

Result<> Drop(Result<int64_t> result) {
  if (!result) return result.Fail();
  return {};
}

// A request that changes the task or what it does: tests let us die before each and after the last.
Result<> Change(int request, pid_t tid, uint64_t address, void* data, const char* what) {
  DiePoint();
  auto changed = Drop(Ptrace(request, tid, address, data, what));
  DiePoint();
  return changed;
}

void* AsData(uint64_t value) { return reinterpret_cast<void*>(value); }

}  // namespace

Result<> Seize(pid_t tid, uint64_t options) {
  auto seized = Change(PTRACE_SEIZE, tid, 0, AsData(options), "seize");
  if (!seized && seized.error().saved_errno() == EPERM) {
    return Error(ErrorCode::kNotSupported, EPERM, fmt::format("seize of task {}", tid));
  }
  return seized;
}

Result<> SetOptions(pid_t tid, uint64_t options) {
  return Change(PTRACE_SETOPTIONS, tid, 0, AsData(options), "set the ptrace options");
}

Result<> Interrupt(pid_t tid) { return Change(PTRACE_INTERRUPT, tid, 0, nullptr, "interrupt"); }

Result<> Continue(pid_t tid, int signal) {
  return Change(PTRACE_CONT, tid, 0, AsData(static_cast<uint64_t>(signal)), "continue");
}

Result<> ContinueToSystemCall(pid_t tid) {
  return Change(PTRACE_SYSCALL, tid, 0, nullptr, "continue to the system call");
}

Result<> Detach(pid_t tid, int signal) {
  return Change(PTRACE_DETACH, tid, 0, AsData(static_cast<uint64_t>(signal)), "detach");
}

Result<WaitStatus> WaitFor(pid_t tid) {
  int status = 0;
  while (true) {
    const pid_t got = waitpid(tid, &status, __WALL);
    const int error = errno;
    if (got == tid) return WaitStatus(status);
    if (error == EINTR) continue;
    return Error(ErrorCode::kTaskGone, error, fmt::format("wait for task {}", tid));
  }
}

Result<WaitStatus> WaitFor(pid_t tid, int timeout_ms) {
  constexpr int kSpins = 50;          // most stops come within microseconds
  constexpr int64_t kNapNs = 50'000;  // then do not burn the CPU the task may need
  timespec begin{};
  clock_gettime(CLOCK_MONOTONIC, &begin);
  for (int spin = 0;; ++spin) {
    int status = 0;
    const pid_t got = waitpid(tid, &status, __WALL | WNOHANG);
    const int error = errno;
    if (got == tid) return WaitStatus(status);
    if (got < 0 && error != EINTR) return Error(ErrorCode::kTaskGone, error, fmt::format("wait for task {}", tid));
    if (spin < kSpins) continue;
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);
    const int64_t passed_ms = (now.tv_sec - begin.tv_sec) * 1000 + (now.tv_nsec - begin.tv_nsec) / 1'000'000;
    if (passed_ms >= timeout_ms)
      return MakeError(ErrorCode::kUnavailable, "task {} gave no sign for {} ms", tid, passed_ms);
    const timespec nap{0, kNapNs};
    nanosleep(&nap, nullptr);
  }
}

Result<uint64_t> GetSignalMask(pid_t tid) {
  uint64_t mask = 0;
  BATON_CHECKED(Ptrace(PTRACE_GETSIGMASK, tid, sizeof mask, &mask, "get signal mask"));
  return mask;
}

Result<> SetSignalMask(pid_t tid, uint64_t mask) {
  return Change(PTRACE_SETSIGMASK, tid, sizeof mask, &mask, "set signal mask");
}

Result<std::vector<siginfo_t>> PeekSignals(pid_t tid, bool shared) {
  constexpr int kBatch = 32;
  std::vector<siginfo_t> all;
  while (true) {
    siginfo_t batch[kBatch];
    __ptrace_peeksiginfo_args args{};
    args.off = all.size();
    args.flags = shared ? PTRACE_PEEKSIGINFO_SHARED : 0;
    args.nr = kBatch;
    BATON_TRY(const int64_t got,
              Ptrace(PTRACE_PEEKSIGINFO, tid, reinterpret_cast<uint64_t>(&args), batch, "peek pending signals"));
    all.insert(all.end(), batch, batch + got);
    if (got < kBatch) return all;
  }
}

Result<siginfo_t> GetSignalInfo(pid_t tid) {
  siginfo_t info{};
  BATON_CHECKED(Ptrace(PTRACE_GETSIGINFO, tid, 0, &info, "get signal info"));
  return info;
}

Result<uint64_t> GetEventMessage(pid_t tid) {
  uint64_t message = 0;
  BATON_CHECKED(Ptrace(PTRACE_GETEVENTMSG, tid, 0, &message, "get event message"));
  return message;
}

Result<std::vector<std::byte>> GetRegisterSet(pid_t tid, int type, size_t max_bytes) {
  std::vector<std::byte> bytes(max_bytes);
  iovec io{bytes.data(), bytes.size()};
  BATON_CHECKED(Ptrace(PTRACE_GETREGSET, tid, static_cast<uint64_t>(type), &io, "get registers"));
  bytes.resize(io.iov_len);
  return bytes;
}

Result<> SetRegisterSet(pid_t tid, int type, std::span<const std::byte> bytes) {
  iovec io{const_cast<std::byte*>(bytes.data()), bytes.size()};
  return Change(PTRACE_SETREGSET, tid, static_cast<uint64_t>(type), &io, "set registers");
}

Result<__ptrace_rseq_configuration> GetRseqConfiguration(pid_t tid) {
  __ptrace_rseq_configuration configuration{};
  BATON_CHECKED(Ptrace(PTRACE_GET_RSEQ_CONFIGURATION, tid, sizeof configuration, &configuration, "get rseq"));
  return configuration;
}

bool HasSyscallDispatch(pid_t tid) {
  constexpr int kGetConfiguration = 0x4211;  // PTRACE_GET_SYSCALL_USER_DISPATCH_CONFIG
  uint64_t configuration[4] = {};            // mode, selector, offset, length
  const auto got = Ptrace(kGetConfiguration, tid, sizeof configuration, configuration, "get system call dispatch");
  return got && configuration[0] != 0;
}

Result<std::optional<std::vector<sock_filter>>> GetSeccompFilter(pid_t tid, uint64_t index) {
  constexpr const char* kWhat = "get seccomp filter";
  auto count = Ptrace(PTRACE_SECCOMP_GET_FILTER, tid, index, nullptr, kWhat);
  if (!count && count.error().saved_errno() == ENOENT) return std::nullopt;
  if (!count) return count.Fail();
  std::vector<sock_filter> program(static_cast<size_t>(*count));
  BATON_CHECKED(Ptrace(PTRACE_SECCOMP_GET_FILTER, tid, index, program.data(), kWhat));
  return program;
}

Result<uint64_t> GetSeccompFilterFlags(pid_t tid, uint64_t index) {
  uint64_t metadata[2] = {index, 0};  // struct seccomp_metadata of <linux/ptrace.h>, which clashes with <sys/ptrace.h>
  BATON_CHECKED(Ptrace(PTRACE_SECCOMP_GET_METADATA, tid, sizeof metadata, metadata, "get seccomp flags"));
  return metadata[1];
}

}  // namespace baton
