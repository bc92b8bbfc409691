// inotify(7): watches with their numbers and masks. Events that waited cannot be made again; the program is told that
// its queue has overflowed, which means that it has to look for itself.
//
// Sources: fdinfo, FIONREAD; fs/notify/inotify.
#pragma once

#include <memory>

#include "resource/kind.h"

namespace baton {

std::unique_ptr<ResourceKind> MakeInotifyKind();

}  // namespace baton
