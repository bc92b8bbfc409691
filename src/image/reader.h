// ImageReader: an image directory, checked while it is read (docs/formats/image.md). Open checks all metadata; Verify
// checks every byte of the pages too. Nothing of an image may be acted upon before Verify.
//
// Thread-safety: const member functions from any thread.
// Errors: kNotFound where there is no image; kCorrupt with the file and what is wrong; kNotSupported for an image made
// by a newer Baton.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "image/format.h"
#include "image/image.pb.h"

namespace baton {

enum class RunKind { kData, kZero, kParent };

// Pages of a space that follow one another, there and in the image.
struct Run {
  uint64_t address = 0;
  uint64_t page_count = 0;
  RunKind kind = RunKind::kData;
  bool raw = false;          // kData: the bytes lie as they are at `file_offset` of SegmentFd(segment)
  size_t segment = 0;        // kData
  uint64_t file_offset = 0;  // kData: of the content; of the file if raw

  uint64_t bytes() const { return page_count * kImagePage; }
};

class ImageReader {
 public:
  static Result<std::unique_ptr<ImageReader>> Open(const std::string& directory);
  ImageReader(const ImageReader&) = delete;
  ImageReader& operator=(const ImageReader&) = delete;

  // Reads all pages and compares checksums, on `threads` threads.
  Result<> Verify(unsigned threads) const;

  const std::string& directory() const { return directory_; }
  const pb::Manifest& manifest() const { return manifest_; }
  std::span<const Record> records() const { return records_; }
  // All page spaces by name.
  const std::map<std::string, std::vector<Run>, std::less<>>& spaces() const { return spaces_; }
  // Ascending; empty for a space that is not there.
  std::span<const Run> Runs(std::string_view space) const;
  // Content of [address, address + pages.size()), whole pages that lie in runs: kNotFound otherwise.
  Result<> ReadPages(std::string_view space, uint64_t address, std::span<std::byte> pages) const;

  size_t segment_count() const { return segments_.size(); }
  // Borrowed; open for reading.
  int SegmentFd(size_t index) const { return segments_[index].file.get(); }

 private:
  struct Block {
    uint64_t file_offset = 0;
    uint32_t bytes = 0;
    uint32_t stored_bytes = 0;
    uint64_t checksum = 0;
  };
  struct Segment {
    std::string name;
    UniqueFd file;
    std::vector<Block> blocks;
    uint64_t content_bytes = 0;
    bool raw = true;
  };

  explicit ImageReader(std::string directory) : directory_(std::move(directory)) {}
  Result<> ReadManifest();
  Result<std::string> ReadWhole(const char* name) const;
  Result<> ReadRecords();
  Result<> ReadIndex();
  Result<> AddSegment(const std::string& name, uint64_t file_bytes, const pb::Segment& segment);
  Result<> AddSpace(const pb::PageSpace& space);
  Result<Run> CheckedRun(const pb::PageRun& run) const;
  Result<> ReadStored(const Segment& segment, const Block& block, std::vector<std::byte>& stored) const;
  Result<> ReadBlock(const Segment& segment, const Block& block, std::vector<std::byte>& content) const;
  Result<> ReadContent(const Segment& segment, uint64_t offset, std::span<std::byte> bytes) const;

  std::string directory_;
  pb::Manifest manifest_;
  std::vector<Record> records_;
  std::vector<Segment> segments_;
  std::map<std::string, std::vector<Run>, std::less<>> spaces_;
};

}  // namespace baton
