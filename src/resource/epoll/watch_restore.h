// Puts watches into an epoll descriptor, from the holder: there any number can be given to any file without harm to the
// unit (in one of its processes a record lock would be lost when a descriptor is replaced).
//
// Thread-safety: the tracer's thread.
#pragma once

#include "base/result.h"
#include "resource/epoll/epoll.pb.h"
#include "resource/kind.h"

namespace baton {

// `user`: a process and its descriptor that is the epoll descriptor. REQUIRES: `message` is valid.
Result<> RestoreWatches(const pb::EpollPayload& message, const FdUser& user, ArmContext& context);

}  // namespace baton
