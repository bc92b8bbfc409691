#include "resource/common/pty.h"

#include <fcntl.h>
#include <linux/major.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

#include <vector>

namespace baton {
namespace {

constexpr int kOpen = O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK;
constexpr uint32_t kMostTried = 4096;  // pairs that are held to get a number

Result<Pty> OpenOne(RemoteSyscalls& calls) {
  calls.ResetArguments();
  BATON_TRY(const auto path, calls.PutString("/dev/ptmx"));
  BATON_TRY(const auto number, calls.PutValue(uint32_t{0}));
  Pty pty;
  BATON_TRY(const int64_t master, calls.Do("open /dev/ptmx", SYS_openat, AT_FDCWD, path, kOpen, 0));
  pty.master = static_cast<int>(master);
  BATON_CHECKED(calls.Do("number of a terminal", SYS_ioctl, pty.master, TIOCGPTN, number));
  BATON_TRY(pty.number, calls.Get(number));
  return pty;
}

Result<> OpenSlave(RemoteSyscalls& calls, Pty& pty) {
  calls.ResetArguments();
  BATON_TRY(const auto unlocked, calls.PutValue(int{0}));
  BATON_CHECKED(calls.Do("unlock a terminal", SYS_ioctl, pty.master, TIOCSPTLCK, unlocked));
  BATON_TRY(const int64_t slave, calls.Do("open a terminal", SYS_ioctl, pty.master, TIOCGPTPEER, kOpen));
  pty.slave = static_cast<int>(slave);
  return {};
}

}  // namespace

std::optional<uint32_t> MasterNumber(int fd) {
  uint32_t number = 0;
  return ioctl(fd, TIOCGPTN, &number) == 0 ? std::optional(number) : std::nullopt;
}

std::optional<uint32_t> SlaveNumber(int fd) {
  uint32_t device = 0;
  if (MasterNumber(fd) || ioctl(fd, TIOCGDEV, &device) != 0) return std::nullopt;
  return SlaveNumberOf(device);
}

std::optional<uint32_t> SlaveNumberOf(uint64_t device) {
  return major(device) == UNIX98_PTY_SLAVE_MAJOR ? std::optional(minor(device)) : std::nullopt;
}

// The kernel gives the lowest number that is free: those below are held until it is there.
Result<Pty> OpenPtyMaster(RemoteSyscalls& calls, uint32_t wanted) {
  std::vector<int> held;
  BATON_TRY(Pty pty, OpenOne(calls));
  while (pty.number < wanted && held.size() < kMostTried) {
    held.push_back(pty.master);
    BATON_TRY(pty, OpenOne(calls));
  }
  for (const int fd : held) BATON_CHECKED(calls.Do("close", SYS_close, fd));
  return pty;
}

Result<Pty> OpenPty(RemoteSyscalls& calls, uint32_t wanted) {
  BATON_TRY(Pty pty, OpenPtyMaster(calls, wanted));
  BATON_CHECKED(OpenSlave(calls, pty));
  return pty;
}

}  // namespace baton
