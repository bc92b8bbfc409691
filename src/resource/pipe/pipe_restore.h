// Makes pipes and their open files in the holder.
//
// Thread-safety: the tracer's thread.
#pragma once

#include "base/result.h"
#include "resource/kind.h"
#include "resource/pipe/pipe.pb.h"

namespace baton {

// The open file of `message`, in the holder; the pipe itself first if this is its first. REQUIRES: `message` is valid.
Result<int> RestorePipeFile(const pb::PipePayload& message, RestoreContext& context);

}  // namespace baton
