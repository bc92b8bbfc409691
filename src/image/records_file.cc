#include "image/records_file.h"

#include <cstring>

#include "base/check.h"
#include "image/digest.h"

namespace baton {
namespace {

struct FileHeader {
  char magic[8];
  uint32_t version;
  uint32_t count;
};
static_assert(sizeof(FileHeader) == 16);

template <typename T>
std::string_view BytesOf(const T& value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}

// Takes a value off the front; false if there is not enough.
template <typename T>
bool Take(std::string_view& rest, T& value) {
  if (rest.size() < sizeof value) return false;
  std::memcpy(&value, rest.data(), sizeof value);
  rest.remove_prefix(sizeof value);
  return true;
}

Result<Record> TakeRecord(std::string_view& rest) {
  const std::string_view start = rest;
  RecordHeader header;
  if (!Take(rest, header)) return MakeError(ErrorCode::kCorrupt, "cut short");
  const bool fits = header.kind_bytes > 0 && header.kind_bytes <= kMaxKindName && header.kind_bytes <= rest.size() &&
                    header.payload_bytes <= rest.size() - header.kind_bytes;
  if (!fits) return MakeError(ErrorCode::kCorrupt, "its lengths do not fit in the file");
  Record record{std::string(rest.substr(0, header.kind_bytes)), header.version,
                std::string(rest.substr(header.kind_bytes, header.payload_bytes))};
  rest.remove_prefix(header.kind_bytes + header.payload_bytes);
  const std::string_view covered = start.substr(0, start.size() - rest.size());
  uint64_t checksum = 0;
  if (!Take(rest, checksum)) return MakeError(ErrorCode::kCorrupt, "cut short");
  if (checksum != Checksum64(std::as_bytes(std::span(covered)))) {
    return MakeError(ErrorCode::kCorrupt, "damaged (its checksum does not fit)");
  }
  return record;
}

}  // namespace

std::string BeginRecords() { return std::string(sizeof(FileHeader), '\0'); }

void AppendRecord(std::string& file, const Record& record) {
  BATON_CHECK(!record.kind.empty() && record.kind.size() <= kMaxKindName);
  const RecordHeader header{static_cast<uint32_t>(record.kind.size()), record.version, record.payload.size()};
  const size_t start = file.size();
  file += BytesOf(header);
  file += record.kind;
  file += record.payload;
  const uint64_t checksum = Checksum64(std::as_bytes(std::span(file).subspan(start)));
  file += BytesOf(checksum);
}

void EndRecords(std::string& file, uint32_t count) {
  FileHeader header{{}, kImageVersion, count};
  std::memcpy(header.magic, kRecordsMagic.data(), sizeof header.magic);
  std::memcpy(file.data(), &header, sizeof header);
}

Result<std::vector<Record>> ParseRecords(std::string_view file) {
  FileHeader header;
  if (!Take(file, header)) return MakeError(ErrorCode::kCorrupt, "cut short");
  if (std::string_view(header.magic, sizeof header.magic) != kRecordsMagic) {
    return MakeError(ErrorCode::kCorrupt, "is no such file");
  }
  if (header.version != kImageVersion) {
    return MakeError(ErrorCode::kNotSupported, "format version {}; this Baton knows {}", header.version, kImageVersion);
  }
  std::vector<Record> records;
  for (uint32_t i = 0; i < header.count; ++i) {
    auto record = TakeRecord(file);
    if (!record) return record.Fail("record {}", i);
    records.push_back(std::move(*record));
  }
  if (!file.empty()) return MakeError(ErrorCode::kCorrupt, "{} bytes too long", file.size());
  return records;
}

}  // namespace baton
