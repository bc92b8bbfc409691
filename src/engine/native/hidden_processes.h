// Processes that are not dumpable (PR_SET_DUMPABLE 0, as an agent that holds keys does): to an ordinary user the kernel
// then does not show their descriptors (/proc/PID/fd belongs to root, proc(5)), not even to the owner of their user
// namespace, who may trace them. While they are saved they are made dumpable, by a call of their own.
//
// An engine that dies meanwhile leaves them dumpable (docs/limits.md). Thread-safety: one thread, the tracer.
#pragma once

#include <sys/types.h>

#include <vector>

#include "base/result.h"
#include "engine/native/frozen_task.h"

namespace baton {

class HiddenProcesses {
 public:
  HiddenProcesses() = default;
  HiddenProcesses(const HiddenProcesses&) = delete;
  HiddenProcesses& operator=(const HiddenProcesses&) = delete;
  // Hides what is still shown.
  ~HiddenProcesses() { Hide(); }

  // Shows those of `processes` that we do not see, all of which stand still. What stays hidden stays: who wants to look
  // at it says why that cannot be done.
  Result<> Show(const std::vector<FrozenProcess>& processes);
  // By the number of its first living thread.
  bool Shown(pid_t living_tid) const;
  // As they were. Before they go on.
  void Hide();
  // They are gone.
  void Forget() { shown_.clear(); }

 private:
  std::vector<FrozenProcess> shown_;
};

}  // namespace baton
