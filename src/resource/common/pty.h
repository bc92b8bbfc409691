// Pseudo terminals: their numbers, and new ones in a process of the unit. For the terminals' kind, and for the engine,
// which gives sessions their controlling terminal as they are made.
//
// Sources: pts(4), ioctl_tty(2), fs/devpts. Thread-safety: the tracer's thread.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <optional>
#include <string>

#include "base/result.h"
#include "task/remote_syscalls.h"

namespace baton {

// N of /dev/pts/N, if `fd` is a master.
std::optional<uint32_t> MasterNumber(int fd);
// N, if `fd` is a slave, or /dev/tty of a process whose terminal is one.
std::optional<uint32_t> SlaveNumber(int fd);
// N, if this is the device number of a slave (tty_nr in /proc/PID/stat).
std::optional<uint32_t> SlaveNumberOf(uint64_t device);

struct Pty {
  uint32_t number = 0;
  int master = -1;  // descriptors in that process, close-on-exec, which do not block
  int slave = -1;
};

// A new master in the process of `calls`; with the number `wanted` if that is free, else with another.
Result<Pty> OpenPtyMaster(RemoteSyscalls& calls, uint32_t wanted);
// With its slave, unlocked, which is nobody's controlling terminal.
Result<Pty> OpenPty(RemoteSyscalls& calls, uint32_t wanted);

// RestoreContext::shared() has a pair that was made with its session under these: its ends, and the number it has got.
inline std::string PtyKey(uint32_t number, std::string_view what) { return fmt::format("pty/{}/{}", number, what); }
constexpr std::string_view kPtyMaster = "master";
constexpr std::string_view kPtySlave = "slave";

}  // namespace baton
