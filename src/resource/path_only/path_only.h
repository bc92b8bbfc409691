// Descriptors that only name a FIFO, a socket or a device (open(2) O_PATH). The file must be at its path again.
//
// Source: open(2), /proc/PID/fd.
#pragma once

#include <memory>

#include "resource/kind.h"

namespace baton {

std::unique_ptr<ResourceKind> MakePathOnlyKind();

}  // namespace baton
