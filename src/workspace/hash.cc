#include "workspace/hash.h"

#define XXH_INLINE_ALL
#include <fmt/format.h>
#include <xxhash.h>

#include "base/check.h"

namespace baton {

std::string ContentHash::Hex() const {
  std::string text;
  for (const uint8_t byte : bytes) text += fmt::format("{:02x}", byte);
  return text;
}

ContentHash ContentHash::FromBytes(std::string_view text) {
  ContentHash hash;
  BATON_CHECK(text.size() == hash.bytes.size());
  std::memcpy(hash.bytes.data(), text.data(), text.size());
  return hash;
}

ContentHash HashContent(std::span<const std::byte> content) {
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, XXH3_128bits(content.data(), content.size()));
  ContentHash hash;
  static_assert(sizeof(canonical.digest) == sizeof(hash.bytes));
  std::memcpy(hash.bytes.data(), canonical.digest, sizeof(canonical.digest));
  return hash;
}

uint64_t Checksum(std::string_view content) { return XXH3_64bits(content.data(), content.size()); }

}  // namespace baton
