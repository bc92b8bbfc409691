// epoll(7): what is watched for what. A watch belongs to an open file and the number it was added with, both of which
// may have changed since: the file is found by kcmp(2), the number is made again for as long as the watch is added.
//
// After a restore whatever is ready is reported once more to edge-triggered watches. A one-shot watch that has fired
// may report an error or hang-up (only those) before it is armed again. Lost: order of what is ready, EPIOCSPARAMS.
//
// Sources: fdinfo ("tfd"), kcmp(2) KCMP_EPOLL_TFD, fs/eventpoll.c.
#pragma once

#include <memory>

#include "resource/kind.h"

namespace baton {

std::unique_ptr<ResourceKind> MakeEpollKind();

}  // namespace baton
