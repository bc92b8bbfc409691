// The bytes of a connection whose two ends are in the unit: what one end has written and the other not yet read.
//
// Those already received can be looked at. Those that wait in the sender, because the receiver's window is full, are
// let across first: the receiver's buffer is made larger by SO_RCVLOWAT, and a look at its queue then announces the new
// window. On one machine they arrive at once; nothing is taken out, and the program sees nothing of it.
// Sources: tcp(7), net/ipv4/tcp.c tcp_set_rcvlowat(), __tcp_cleanup_rbuf(); net.ipv4.tcp_rmem bounds it.
//
// Thread-safe: free functions without state.
#pragma once

#include <string>

#include "base/result.h"

namespace baton {

// The bytes that `receiver` has yet to read. `sender` is the other end, or -1 if nobody has it. Both are descriptors of
// ours of sockets that nobody uses meanwhile. kUnavailable if there is more on its way than fits; kNotSupported for
// urgent data.
Result<std::string> PeekTcpBytes(int receiver, int sender);

// Makes room for `bytes` in a socket that is to be filled, as far as the kernel allows.
void MakeRoomFor(int receiver, size_t bytes);
// Waits until `sender` has nothing under way any more, for a second at most; how much is left.
size_t AwaitDelivery(int receiver, int sender);

}  // namespace baton
