// A Protobuf message in a file of its own: magic, version, length, message, digest (docs/formats/image.md).
// Thread-safety: free functions without state.
#pragma once

#include <google/protobuf/message_lite.h>

#include <string>
#include <string_view>

#include "base/result.h"

namespace baton {

// The bytes of the file.
Result<std::string> FrameMessage(std::string_view magic, const google::protobuf::MessageLite& message);
// The opposite; `name` is for messages. kCorrupt for anything but exactly what FrameMessage makes, kNotSupported for a
// newer format version.
Result<> ParseFramed(std::string_view name, std::string_view magic, std::string_view bytes,
                     google::protobuf::MessageLite& message);

}  // namespace baton
