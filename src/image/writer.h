// ImageWriter: writes one image into a directory (docs/formats/image.md), durably.
//
//   BATON_TRY(ImageWriter writer, ImageWriter::Create(dir, {}));
//   writer.AddRecord(...); writer.AddPages("process:7", 0x1000, pages); writer.SetInfo("host", name);
//   BATON_CHECKED(writer.Finish());
//
// Without Finish the directory holds no image. Publishing it under its final name is the caller's (store/).
// Thread-safety: one thread at a time. Errors: kConflict where the directory already holds an image, kIo with the file
// and the reason (disk full); after an error the writer may only be destroyed, and what it wrote removed.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/unique_fd.h"
#include "image/format.h"
#include "image/image.pb.h"
#include "image/segment_writer.h"

namespace baton {

struct ImageWriterOptions {
  int zstd_level = 0;  // 0: raw segments, which restore fastest; 1..19: smaller
  // Raw segments go past the page cache, where they would push out what programs need. For images that are not
  // likely to be read soon.
  bool bypass_cache = false;
};

class ImageWriter {
 public:
  // `directory` is made if it is not there.
  static Result<ImageWriter> Create(const std::string& directory, const ImageWriterOptions& options);

  Result<> AddRecord(const Record& record);
  // Content of pages from `address` on: whole pages. Pages of zeros cost nothing. A space's pages may come in any
  // order; none may come twice.
  Result<> AddPages(std::string_view space, uint64_t address, std::span<const std::byte> pages);
  // A fact for people, in the manifest.
  void SetInfo(const std::string& key, const std::string& value) { (*manifest_.mutable_info())[key] = value; }
  // All of it is on disk on return.
  Result<> Finish();

 private:
  ImageWriter(std::string directory, UniqueFd records, const ImageWriterOptions& options);
  Result<> AddRun(pb::PageSpace& space, uint64_t first_page, std::span<const std::byte> pages, bool zero);
  pb::PageSpace& Space(std::string_view name);
  Result<> FinishRecords();
  Result<> FinishIndex();

  std::string directory_;
  UniqueFd records_;
  std::string buffer_;  // the records file so far
  uint32_t record_count_ = 0;
  SegmentWriter segments_;
  std::map<std::string, pb::PageSpace, std::less<>> spaces_;
  pb::Manifest manifest_;
};

}  // namespace baton
