#include "image/segment_writer.h"

#include <fcntl.h>
#include <zstd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/file.h"
#include "image/digest.h"
#include "image/format.h"

namespace baton {
namespace {

constexpr size_t kDirectAlign = 4096;  // open(2), O_DIRECT: enough for all common disks

}  // namespace

Result<SegmentWriter::Place> SegmentWriter::Append(std::span<const std::byte> pages, size_t& taken) {
  if (!file_ || content_bytes_ == kSegmentBytes) BATON_CHECKED(OpenNext());
  const Place place{static_cast<uint32_t>(segments_.size() - 1), content_bytes_};
  taken = std::min<uint64_t>(pages.size(), kSegmentBytes - content_bytes_);
  std::span<const std::byte> rest = pages.first(taken);
  content_bytes_ += taken;
  while (!rest.empty()) {
    if (tail_bytes_ == 0 && rest.size() >= kBlockBytes && MayWriteFrom(rest.data())) {
      BATON_CHECKED(WriteBlock(rest.first(kBlockBytes)));
      rest = rest.subspan(kBlockBytes);
      continue;
    }
    const size_t part = std::min(rest.size(), kBlockBytes - tail_bytes_);
    std::memcpy(tail_.get() + tail_bytes_, rest.data(), part);
    tail_bytes_ += part;
    rest = rest.subspan(part);
    if (tail_bytes_ == kBlockBytes) {
      BATON_CHECKED(WriteBlock(Tail()));
      tail_bytes_ = 0;
    }
  }
  return place;
}

Result<> SegmentWriter::Finish() {
  if (file_) BATON_CHECKED(CloseCurrent());
  return {};
}

Result<> SegmentWriter::OpenNext() {
  if (file_) BATON_CHECKED(CloseCurrent());
  const std::string path = directory_ + "/" + SegmentFileName(segments_.size());
  BATON_TRY(file_, OpenFile(path, O_WRONLY | O_CREAT | O_EXCL, 0600));
  if (!tail_) tail_.reset(static_cast<std::byte*>(std::aligned_alloc(kDirectAlign, kBlockBytes)));
  if (!tail_) return ErrnoError(ENOMEM, "memory for a block");
  direct_ = bypass_cache_ && fcntl(file_->get(), F_SETFL, O_DIRECT) == 0;
  segments_.emplace_back();
  file_bytes_.push_back(0);
  content_bytes_ = 0;
  write_back_started_ = 0;
  return {};
}

Result<> SegmentWriter::WriteBlock(std::span<const std::byte> block) {
  std::span<const std::byte> stored = block;
  if (zstd_level_ > 0) {
    compressed_.resize(ZSTD_compressBound(block.size()));
    const size_t size = ZSTD_compress(compressed_.data(), compressed_.size(), block.data(), block.size(), zstd_level_);
    if (ZSTD_isError(size) != 0) return MakeError(ErrorCode::kInternal, "zstd: {}", ZSTD_getErrorName(size));
    if (size < block.size()) stored = std::span<const std::byte>(compressed_).first(size);
  }
  if (auto written = Put(stored); !written) {
    return written.Fail("{}/{}", directory_, SegmentFileName(segments_.size() - 1));
  }
  pb::Block& entry = *segments_.back().add_blocks();
  entry.set_bytes(static_cast<uint32_t>(block.size()));
  entry.set_stored_bytes(static_cast<uint32_t>(stored.size()));
  entry.set_checksum(Checksum64(stored));
  file_bytes_.back() += stored.size();
  StartWriteBack();
  return {};
}

// Blocks are whole pages and start at one in the file; only the memory must be looked at.
bool SegmentWriter::MayWriteFrom(const std::byte* memory) const {
  return !direct_ || reinterpret_cast<uintptr_t>(memory) % kDirectAlign == 0;
}

Result<> SegmentWriter::Put(std::span<const std::byte> stored) {
  auto written = WriteAll(file_->get(), stored);
  if (written || !direct_ || written.error().saved_errno() != EINVAL) return written;
  direct_ = false;  // a disk with larger blocks than we knew
  fcntl(file_->get(), F_SETFL, 0);
  return PwriteAll(file_->get(), stored, file_bytes_.back());
}

// So that the disk works while we go on, and Finish finds little left to wait for.
void SegmentWriter::StartWriteBack() {
  constexpr uint64_t kStep = uint64_t{8} << 20;
  const uint64_t end = file_bytes_.back();
  if (direct_ || end - write_back_started_ < kStep) return;
  sync_file_range(file_->get(), static_cast<off_t>(write_back_started_), static_cast<off_t>(end - write_back_started_),
                  SYNC_FILE_RANGE_WRITE);
  write_back_started_ = end;
}

Result<> SegmentWriter::CloseCurrent() {
  if (tail_bytes_ > 0) BATON_CHECKED(WriteBlock(Tail()));
  tail_bytes_ = 0;
  BATON_CHECKED(SyncFd(file_->get(), directory_ + "/" + SegmentFileName(segments_.size() - 1)));
  file_.reset();
  return {};
}

}  // namespace baton
