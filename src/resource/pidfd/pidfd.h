// pidfd_open(2) and clone(2) CLONE_PIDFD: which process or thread (PIDFD_THREAD) of the unit it is of, PIDFD_NONBLOCK.
// One of a process that is gone and waited for refers, after the restore, to another that is gone.
//
// Lost: the exit status of such a process where PIDFD_GET_INFO would tell it. Sources: fdinfo ("Pid"), kernel/pid.c,
// fs/pidfs.c.
#pragma once

#include <memory>

#include "resource/kind.h"

namespace baton {

std::unique_ptr<ResourceKind> MakePidfdKind();

}  // namespace baton
