// What writer and reader of an image agree on (docs/formats/image.md).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace baton {

inline constexpr uint32_t kImageVersion = 1;
inline constexpr uint64_t kImagePage = 4096;
inline constexpr size_t kBlockBytes = size_t{1} << 20;
inline constexpr uint64_t kSegmentBytes = uint64_t{1} << 30;
inline constexpr size_t kMaxKindName = 255;

inline constexpr std::string_view kImageManifestMagic = "BATONMAN";
inline constexpr std::string_view kIndexMagic = "BATONIDX";
inline constexpr std::string_view kRecordsMagic = "BATONREC";

inline constexpr const char* kManifestFile = "manifest";
inline constexpr const char* kIndexFile = "index";
inline constexpr const char* kRecordsFile = "records";

// "pages.0000"
std::string SegmentFileName(size_t index);

// A piece of the unit's metadata; the payload's schema is the kind's own.
struct Record {
  std::string kind;
  uint32_t version = 1;
  std::string payload;
};

// Header of a record in the file, as it is written; name, payload and a checksum over all three follow.
struct RecordHeader {
  uint32_t kind_bytes = 0;
  uint32_t version = 0;
  uint64_t payload_bytes = 0;
};
static_assert(sizeof(RecordHeader) == 16);

}  // namespace baton
