// Descriptors of namespaces, as opened from /proc/PID/ns: of those that the unit is in. The restored one has those that
// it is in then, whose numbers are others in a capsule.
//
// Sources: namespaces(7). Thread-safety: as kind.h.
#pragma once

#include <memory>

#include "resource/kind.h"

namespace baton {

std::unique_ptr<ResourceKind> MakeNamespaceFileKind();

}  // namespace baton
