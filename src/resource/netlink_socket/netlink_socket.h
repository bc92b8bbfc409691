// Netlink sockets with nothing in their queue: port, groups, options. A port number that another program has by now
// becomes another one.
//
// Sources: netlink(7), net/netlink/af_netlink.c.
#pragma once

#include <memory>

#include "resource/kind.h"

namespace baton {

std::unique_ptr<ResourceKind> MakeNetlinkSocketKind();

}  // namespace baton
