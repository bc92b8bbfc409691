// Writes page content into segment files, block by block, raw or compressed, with a checksum for each block.
// Thread-safety: one thread at a time.
#pragma once

#include <array>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "image/image.pb.h"

namespace baton {

class SegmentWriter {
 public:
  // Where content lies: segment, and offset of the content in it.
  struct Place {
    uint32_t segment = 0;
    uint64_t offset = 0;
  };

  // `zstd_level` 0: raw. `bypass_cache`: raw blocks go past the page cache where the file system can do that.
  SegmentWriter(std::string directory, int zstd_level, bool bypass_cache)
      : directory_(std::move(directory)), zstd_level_(zstd_level), bypass_cache_(bypass_cache && zstd_level == 0) {}

  // Pages that follow one another in a segment; may take fewer than given (the segment is full): `taken` says.
  Result<Place> Append(std::span<const std::byte> pages, size_t& taken);
  // Writes what is left and syncs all segments.
  Result<> Finish();

  // Sizes of the files, and their blocks. REQUIRES: Finish.
  const std::vector<uint64_t>& file_bytes() const { return file_bytes_; }
  const std::vector<pb::Segment>& segments() const { return segments_; }

 private:
  Result<> OpenNext();
  Result<> WriteBlock(std::span<const std::byte> block);
  void StartWriteBack();
  Result<> CloseCurrent();
  Result<> Put(std::span<const std::byte> stored);
  bool MayWriteFrom(const std::byte* memory) const;
  std::span<const std::byte> Tail() const { return {tail_.get(), tail_bytes_}; }

  std::string directory_;
  int zstd_level_;
  std::optional<UniqueFd> file_;
  bool bypass_cache_;
  bool direct_ = false;  // the current file is open with O_DIRECT
  struct Free {
    void operator()(std::byte* memory) const { std::free(memory); }
  };
  std::unique_ptr<std::byte[], Free> tail_;  // the block that is being filled; page-aligned
  size_t tail_bytes_ = 0;
  uint64_t content_bytes_ = 0;       // in the current segment, the tail included
  uint64_t write_back_started_ = 0;  // up to here of the current file
  std::vector<std::byte> compressed_;
  std::vector<uint64_t> file_bytes_;
  std::vector<pb::Segment> segments_;
};

}  // namespace baton
