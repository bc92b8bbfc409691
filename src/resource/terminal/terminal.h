// Pseudo terminals whose master is in the unit: settings, window size, what is in the queues, packet mode, controlling
// terminals with the group in their foreground, slaves whose master is closed. Others are refused.
//
// Sources: ioctl_tty(2), pts(4), drivers/tty.
#pragma once

#include <memory>

#include "resource/kind.h"

namespace baton {

std::unique_ptr<ResourceKind> MakeTerminalKind();

}  // namespace baton
