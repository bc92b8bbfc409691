// XXH3 of bytes: 128 bits as the identity of a piece of content within one job, 64 bits as the checksum of a manifest.
// Not cryptographic: it guards against damage, not against someone who can write to the store.
// Thread-safety: pure functions.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

namespace baton {

struct ContentHash {
  std::array<uint8_t, 16> bytes{};

  auto operator<=>(const ContentHash&) const = default;
  // 32 lower-case hex digits.
  std::string Hex() const;
  // For a manifest. FromBytes REQUIRES: 16 of them.
  std::string Bytes() const { return {bytes.begin(), bytes.end()}; }
  static ContentHash FromBytes(std::string_view text);
};

// For unordered containers.
struct ContentHashHasher {
  size_t operator()(const ContentHash& hash) const {
    size_t head = 0;
    std::memcpy(&head, hash.bytes.data(), sizeof(head));
    return head;
  }
};

ContentHash HashContent(std::span<const std::byte> content);
uint64_t Checksum(std::string_view content);

}  // namespace baton
