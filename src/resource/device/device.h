// The memory devices that hold no state: /dev/null, zero, full, random and urandom, known by their numbers whatever
// their path. Every other device is refused, with advice.
//
// Kept: which one, open(2) flags. Sources: Documentation/admin-guide/devices.txt, null(4), random(4).
#pragma once

#include <memory>

#include "resource/kind.h"

namespace baton {

std::unique_ptr<ResourceKind> MakeDeviceKind();

}  // namespace baton
