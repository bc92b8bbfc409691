// What is known of tasks that stand still: plain values.
#pragma once

#include <sys/types.h>

#include <optional>
#include <vector>

#include "engine/native/pending_call.h"
#include "task/arch/x86_64/registers.h"

namespace baton {

struct FrozenTask {
  pid_t tid = 0;
  bool group_stopped = false;  // in a job-control stop
  int group_stop_signal = 0;
  std::optional<PendingCall> before;  // the system call it slept in just before the stop
  // With which it goes on: restartable sequences aborted, a call that only our stop broke off rewound.
  Registers registers;
  // For a rewound call: the registers with its EINTR, due if a signal came while the task stood still.
  std::optional<Registers> interrupted;
};

// A thread that waits for a vfork child (vfork_wait.h): it stands as long as that one does, but cannot be captured.
struct VforkWait {
  pid_t tid = 0;
  pid_t child = 0;
};

struct FrozenProcess {
  pid_t pid = 0;
  bool zombie = false;
  bool leader_exited = false;     // the first thread has ended, others go on
  std::vector<FrozenTask> tasks;  // the leader first; empty for a zombie
  std::vector<VforkWait> vforks;  // not among `tasks`

  // The number under which /proc and system calls show its memory and descriptors: a thread that has ended shows none.
  pid_t living_tid() const { return tasks.empty() ? pid : tasks.front().tid; }
};

}  // namespace baton
