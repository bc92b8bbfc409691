// Why a capsule could not be made, and what the user can change: the one place that knows the settings by which systems
// forbid user namespaces.
//
// Thread-safety: free functions; ExplainSetupFailure reads /proc/sys (or the directory given).
#pragma once

#include <string>

#include "base/error.h"

namespace baton {

// The steps of making a capsule, in order. The numbers travel in InitSetupFailed.
enum class SetupStep : int {
  kUserNamespace = 1,
  kIdMaps = 2,
  kNamespaces = 3,
  kClockOffsets = 4,
  kForkInit = 5,
  kMountNamespace = 6,
  kProc = 7,
  kPrivateTmp = 8,
  kBind = 9,
  kInit = 10,
};

struct SetupFailure {
  SetupStep step = SetupStep::kInit;
  int saved_errno = 0;
  std::string detail;           // what the step worked on; may be empty
  bool user_namespace = false;  // the capsule was to have its own
};

// The error for the user: which step failed, why as far as this system's settings tell, and what to change.
// kNotSupported where the system forbids it, kIo otherwise. `sysctl_root` is for tests.
Error ExplainSetupFailure(const SetupFailure& failure, const std::string& sysctl_root = "/proc/sys");

}  // namespace baton
