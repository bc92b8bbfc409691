// Makes the watches of an inotify descriptor again.
//
// Thread-safety: the tracer's thread.
#pragma once

#include "base/result.h"
#include "resource/inotify/inotify.pb.h"
#include "resource/kind.h"

namespace baton {

// `fd` is a new inotify descriptor in the holder. REQUIRES: `message` is valid; called from Connect. kNotFound if what
// was watched is not there.
Result<> RestoreWatches(const pb::InotifyPayload& message, int fd, RestoreContext& context);

// Takes away the events that the restore has made itself.
Result<> ClearEvents(const FdUser& user, ArmContext& context);

}  // namespace baton
