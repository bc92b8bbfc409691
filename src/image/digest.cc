#include "image/digest.h"

#include <xxhash.h>

namespace baton {
namespace {

std::string Canonical(XXH128_hash_t hash) {
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, hash);
  return {reinterpret_cast<const char*>(canonical.digest), sizeof canonical.digest};
}

}  // namespace

uint64_t Checksum64(std::span<const std::byte> bytes) { return XXH3_64bits(bytes.data(), bytes.size()); }

std::string Digest128(std::span<const std::byte> bytes) { return Canonical(XXH3_128bits(bytes.data(), bytes.size())); }

}  // namespace baton
