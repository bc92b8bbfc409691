// /proc/PID/syscall and /proc/PID/task/TID/syscall: what a task is blocked in.
//
//   running                                            on a CPU, or was when looked at
//   -1 0x7ffd39f5caa8 0x7fccff586bd3                   blocked, not in a system call: sp, pc
//   61 0xffffffff 0x7ffd39f5cad0 0x0 ... 0x7ff... 0x7fc...   number, six arguments, sp, pc
//
// Kernel source: fs/proc/base.c proc_pid_syscall(); man 5 proc_pid_syscall. Reading needs the right to trace the task.
// Pure; thread-safe. Errors: kCorrupt, quoting the line.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "base/result.h"

namespace baton {

struct ProcSyscall {
  bool running = false;  // if so, nothing else is known
  int64_t number = -1;   // -1: not in a system call
  std::array<uint64_t, 6> args{};
  uint64_t sp = 0;
  uint64_t pc = 0;
};

Result<ProcSyscall> ParseSyscall(std::string_view text);

}  // namespace baton
