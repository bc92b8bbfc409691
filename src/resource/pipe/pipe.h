// pipe(2) and FIFOs (mkfifo(3)): what is in them, with the boundaries of packets (O_DIRECT), capacity, the flags of
// each open file, who gets their signals. An end that nobody holds any more stays closed; one that somebody outside the
// unit holds is refused. A FIFO must be at its path again; one that was deleted comes back without a name.
//
// Sources: fdinfo, FIONREAD, F_GETPIPE_SZ, tee(2); pipe(7), fifo(7), fs/pipe.c.
#pragma once

#include <memory>

#include "resource/kind.h"

namespace baton {

std::unique_ptr<ResourceKind> MakePipeKind();

}  // namespace baton
