#include "image/framed_file.h"

#include <cstring>

#include "image/digest.h"
#include "image/format.h"

namespace baton {
namespace {

constexpr size_t kMagicBytes = 8;
constexpr size_t kDigestBytes = 16;
constexpr size_t kHeaderBytes = kMagicBytes + sizeof(uint32_t) + sizeof(uint64_t);

template <typename T>
void Append(std::string& text, T value) {
  text.append(reinterpret_cast<const char*>(&value), sizeof value);
}

template <typename T>
T ValueAt(std::string_view bytes, size_t offset) {
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

}  // namespace

Result<std::string> FrameMessage(std::string_view magic, const google::protobuf::MessageLite& message) {
  std::string payload;
  if (!message.SerializeToString(&payload)) {
    return MakeError(ErrorCode::kInternal, "a message of {} bytes cannot be written", message.ByteSizeLong());
  }
  std::string text(magic);
  Append<uint32_t>(text, kImageVersion);
  Append<uint64_t>(text, payload.size());
  text += payload;
  text += Digest128(std::as_bytes(std::span(text)));
  return text;
}

Result<> ParseFramed(std::string_view name, std::string_view magic, std::string_view bytes,
                     google::protobuf::MessageLite& message) {
  if (bytes.size() < kHeaderBytes + kDigestBytes) {
    return MakeError(ErrorCode::kCorrupt, "{}: cut short at {} bytes", name, bytes.size());
  }
  if (bytes.substr(0, kMagicBytes) != magic) return MakeError(ErrorCode::kCorrupt, "{}: is no such file", name);
  const std::string_view covered = bytes.substr(0, bytes.size() - kDigestBytes);
  if (Digest128(std::as_bytes(std::span(covered))) != bytes.substr(covered.size())) {
    return MakeError(ErrorCode::kCorrupt, "{}: damaged (its digest does not fit)", name);
  }
  const auto version = ValueAt<uint32_t>(bytes, kMagicBytes);
  if (version != kImageVersion) {
    return MakeError(ErrorCode::kNotSupported, "{}: format version {}; this Baton knows {}", name, version,
                     kImageVersion);
  }
  const auto length = ValueAt<uint64_t>(bytes, kMagicBytes + sizeof(uint32_t));
  if (length != covered.size() - kHeaderBytes || length > INT32_MAX) {
    return MakeError(ErrorCode::kCorrupt, "{}: its length is {}", name, length);
  }
  if (!message.ParseFromArray(covered.data() + kHeaderBytes, static_cast<int>(length))) {
    return MakeError(ErrorCode::kCorrupt, "{}: does not parse", name);
  }
  return {};
}

}  // namespace baton
