// Files without a name: deleted ones, O_TMPFILE and memfd_create. Their content goes into the image and is put into a
// new file of the same nature, which all open files of it share again.
//
// Thread-safety: the tracer's thread.
#pragma once

#include "base/result.h"
#include "resource/file/file.pb.h"
#include "resource/kind.h"

namespace baton {

// Of one file, without its holes. More belongs into a file with a name.
inline constexpr uint64_t kMaxContent = uint64_t{256} << 20;

// kNotSupported if there is too much in it; kIo with EACCES if it cannot be read by us.
Result<> CheckContent(const FdFacts& file, uint64_t max_bytes = kMaxContent);
// Puts the content into the image, if no other open file of it has, and extents and seals into `payload`.
Result<> SaveContent(const FdFacts& file, pb::FilePayload& payload, CaptureContext& context);

// A new open file of it in the holder, with the flags of `payload`; the file itself is made at the first.
Result<int> OpenNameless(const pb::FilePayload& payload, RestoreContext& context);
// A memfd's seals: last, since a sealed one cannot be filled or mapped for writing.
Result<> Seal(const pb::FilePayload& payload, std::span<const FdUser> users, ArmContext& context);

}  // namespace baton
