// What lies in a pipe, read without taking it out: by tee(2) into pipes of our own. Sources: tee(2), pipe(7), fs/pipe.c
// (a buffer of a packet keeps that mark in a copy; a read ends with the packet and drops what it did not fetch of it).
//
// Thread-safety: free functions without state.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/result.h"

namespace baton {

struct PipeContent {
  std::vector<std::byte> bytes;
  std::vector<uint32_t> packets;  // their lengths; empty: plain bytes
};

// `fd` is any open file of the pipe: one that cannot read is opened once more through /proc/self/fd, which needs the
// right to read it. `last_is_packet` decides the one thing that cannot be seen: whether a single byte is a packet.
// REQUIRES: nobody reads or writes the pipe meanwhile. kNotSupported for plain bytes and packets in one pipe.
Result<PipeContent> PeekPipe(int fd, bool last_is_packet);

}  // namespace baton
