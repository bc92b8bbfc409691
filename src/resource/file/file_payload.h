// The payload of kind "file": its reading, with everything in it checked that a restore relies on.
#pragma once

#include <fcntl.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "resource/file/file.pb.h"

namespace baton {

// Kept by the kernel in every open file of a program with 64-bit offsets; open(2) adds it by itself.
inline constexpr unsigned kLargeFile = 0100000;

// The flags that make sense again at a restore; everything that would create or empty a file is not among them.
inline constexpr unsigned kKeptFlags = O_ACCMODE | O_APPEND | O_NONBLOCK | O_SYNC | O_DSYNC | O_DIRECT | O_DIRECTORY |
                                       O_NOFOLLOW | O_NOATIME | O_PATH | O_ASYNC | kLargeFile;

// kCorrupt, naming the field, on anything that Capture does not write.
Result<pb::FilePayload> ParseFilePayload(std::string_view payload);

// The space of the image with the content of the file without a name that `file` is.
std::string ContentSpace(const pb::FilePayload& file);

// "regular file /var/log/a, read and write, appending, at 120 of 4096 bytes"
std::string DescribeFilePayload(const pb::FilePayload& file);

}  // namespace baton
