// XXH3 checksums: fast (memory speed), against damage, not against malice. Source: xxhash 0.8 (https://xxhash.com).
// Thread-safety: plain values and functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace baton {

uint64_t Checksum64(std::span<const std::byte> bytes);
// 16 bytes, in canonical order.
std::string Digest128(std::span<const std::byte> bytes);

}  // namespace baton
