// POSIX message queues. A queue outlives its processes where its IPC namespace does: one that is still there is taken
// as it is if others have it open, else it gets its content of the checkpoint back.
//
// Messages cannot be looked at: they are taken out and put in again while the unit stands still. Were Baton killed in
// between, they would be lost. Sources: mq_overview(7), ipc/mqueue.c. Thread-safety: as kind.h.
#pragma once

#include <memory>

#include "resource/kind.h"

namespace baton {

std::unique_ptr<ResourceKind> MakeMqueueKind();

}  // namespace baton
