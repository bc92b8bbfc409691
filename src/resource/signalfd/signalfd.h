// signalfd(2): its mask. What it would deliver are the pending signals of whoever reads it, which are the processes'.
//
// Sources: fdinfo ("sigmask"), fs/signalfd.c.
#pragma once

#include <memory>

#include "resource/kind.h"

namespace baton {

std::unique_ptr<ResourceKind> MakeSignalfdKind();

}  // namespace baton
