#include "image/reader.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <zstd.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <optional>
#include <set>
#include <thread>

#include "base/file.h"
#include "image/digest.h"
#include "image/framed_file.h"
#include "image/records_file.h"

namespace baton {
namespace {

constexpr uint64_t kMostPages = uint64_t{1} << 52;  // addresses have 64 bits
constexpr size_t kIdBytes = 16;

Error Corrupt(std::string text) { return {ErrorCode::kCorrupt, std::move(text)}; }

Result<uint64_t> SizeOf(int fd) {
  struct stat status{};
  if (fstat(fd, &status) < 0) return ErrnoError(errno, "fstat");
  if (!S_ISREG(status.st_mode)) return Corrupt("is no regular file");
  return static_cast<uint64_t>(status.st_size);
}

Result<> CheckBlock(const pb::Block& block, bool last) {
  const bool sane = block.bytes() > 0 && block.bytes() % kImagePage == 0 && block.bytes() <= kBlockBytes &&
                    (last || block.bytes() == kBlockBytes) && block.stored_bytes() > 0 &&
                    block.stored_bytes() <= block.bytes();
  if (!sane) return Corrupt(fmt::format("a block of {} bytes, stored as {}", block.bytes(), block.stored_bytes()));
  return {};
}

}  // namespace

Result<std::unique_ptr<ImageReader>> ImageReader::Open(const std::string& directory) {
  std::unique_ptr<ImageReader> reader(new ImageReader(directory));
  const auto fail = [&](auto& result) { return result.Fail("image {}", directory); };
  if (auto read = reader->ReadManifest(); !read) return fail(read);
  if (auto read = reader->ReadRecords(); !read) return fail(read);
  if (auto read = reader->ReadIndex(); !read) return fail(read);
  return reader;
}

Result<> ImageReader::ReadManifest() {
  auto text = ReadFile(directory_ + "/" + kManifestFile);
  if (!text && text.error().code() == ErrorCode::kNotFound) {
    return MakeError(ErrorCode::kNotFound, "there is no complete image here (no file {})", kManifestFile);
  }
  if (!text) return text.Fail();
  BATON_CHECKED(ParseFramed(kManifestFile, kImageManifestMagic, *text, manifest_));
  if (manifest_.id().size() != kIdBytes) return Corrupt("manifest: no id");
  if (!manifest_.parent_id().empty()) {
    return MakeError(ErrorCode::kNotSupported, "this is a delta; this Baton reads whole images only");
  }
  std::set<std::string> names;
  for (const pb::FileEntry& file : manifest_.files()) {
    if (!names.insert(file.name()).second) return Corrupt(fmt::format("manifest: file {} is there twice", file.name()));
  }
  const size_t segments = names.size() < 2 ? 0 : names.size() - 2;
  bool complete = names.contains(kRecordsFile) && names.contains(kIndexFile);
  for (size_t i = 0; i < segments; ++i) complete = complete && names.contains(SegmentFileName(i));
  if (!complete) return Corrupt("manifest: its list of files is not that of an image");
  return {};
}

Result<std::string> ImageReader::ReadWhole(const char* name) const {
  const auto entry = std::ranges::find(manifest_.files(), name, [](const auto& file) { return file.name(); });
  BATON_TRY(const UniqueFd file, OpenFile(directory_ + "/" + name, O_RDONLY));
  BATON_TRY(const uint64_t size, SizeOf(file.get()));
  if (size != entry->bytes()) return Corrupt(fmt::format("{}: {} bytes instead of {}", name, size, entry->bytes()));
  std::string text(size, '\0');
  BATON_CHECKED(ReadExactly(file.get(), std::as_writable_bytes(std::span(text))));
  if (Digest128(std::as_bytes(std::span(text))) != entry->digest()) {
    return Corrupt(fmt::format("{}: damaged, or of another image (its digest is not the manifest's)", name));
  }
  return text;
}

Result<> ImageReader::ReadRecords() {
  BATON_TRY(const std::string text, ReadWhole(kRecordsFile));
  auto records = ParseRecords(text);
  if (!records) return records.Fail(kRecordsFile);
  records_ = std::move(*records);
  return {};
}

Result<> ImageReader::ReadIndex() {
  BATON_TRY(const std::string text, ReadWhole(kIndexFile));
  pb::PageIndex index;
  BATON_CHECKED(ParseFramed(kIndexFile, kIndexMagic, text, index));
  if (index.segments_size() != manifest_.files_size() - 2) {
    return Corrupt(
        fmt::format("index: {} segments, {} in the manifest", index.segments_size(), manifest_.files_size() - 2));
  }
  for (int i = 0; i < index.segments_size(); ++i) {
    const std::string name = SegmentFileName(static_cast<size_t>(i));
    const auto entry = std::ranges::find(manifest_.files(), name, [](const auto& file) { return file.name(); });
    if (auto added = AddSegment(name, entry->bytes(), index.segments(i)); !added) return added.Fail("{}", name);
  }
  for (const pb::PageSpace& space : index.spaces()) {
    if (auto added = AddSpace(space); !added) return added.Fail("index: pages of {}", space.name());
  }
  return {};
}

Result<> ImageReader::AddSegment(const std::string& name, uint64_t file_bytes, const pb::Segment& segment) {
  BATON_TRY(UniqueFd file, OpenFile(directory_ + "/" + name, O_RDONLY));
  BATON_TRY(const uint64_t size, SizeOf(file.get()));
  Segment added{name, std::move(file), {}, 0, true};
  uint64_t offset = 0;
  for (int i = 0; i < segment.blocks_size(); ++i) {
    const pb::Block& block = segment.blocks(i);
    BATON_CHECKED(CheckBlock(block, i + 1 == segment.blocks_size()));
    added.blocks.push_back({offset, block.bytes(), block.stored_bytes(), block.checksum()});
    added.raw = added.raw && block.stored_bytes() == block.bytes();
    added.content_bytes += block.bytes();
    offset += block.stored_bytes();
  }
  if (size != file_bytes || size != offset || added.content_bytes > kSegmentBytes) {
    return Corrupt(fmt::format("{} bytes; {} in the manifest, {} in the index", size, file_bytes, offset));
  }
  segments_.push_back(std::move(added));
  return {};
}

Result<Run> ImageReader::CheckedRun(const pb::PageRun& run) const {
  Run checked{run.first_page() * kImagePage, run.pages(), RunKind::kZero, false, 0, 0};
  if (run.pages() == 0 || run.pages() > kMostPages || run.first_page() >= kMostPages ||
      run.first_page() + run.pages() > kMostPages) {
    return Corrupt(fmt::format("{} pages at page {}", run.pages(), run.first_page()));
  }
  if (run.kind() == pb::PageRun::ZERO) return checked;
  if (run.kind() != pb::PageRun::DATA) return Corrupt("refers to a parent that the manifest does not name");
  const bool inside = run.segment() < segments_.size() && run.offset() % kImagePage == 0 &&
                      run.offset() <= segments_[run.segment()].content_bytes &&
                      checked.bytes() <= segments_[run.segment()].content_bytes - run.offset();
  if (!inside) return Corrupt(fmt::format("content at {} of segment {} is not there", run.offset(), run.segment()));
  checked.kind = RunKind::kData;
  checked.segment = run.segment();
  checked.file_offset = run.offset();
  checked.raw = segments_[run.segment()].raw;
  return checked;
}

Result<> ImageReader::AddSpace(const pb::PageSpace& space) {
  std::vector<Run> runs;
  uint64_t end = 0;
  for (const pb::PageRun& run : space.runs()) {
    BATON_TRY(const Run checked, CheckedRun(run));
    if (checked.address < end) return Corrupt(fmt::format("runs overlap at {:#x}", checked.address));
    end = checked.address + checked.bytes();
    runs.push_back(checked);
  }
  if (!spaces_.emplace(space.name(), std::move(runs)).second) return Corrupt("is there twice");
  return {};
}

std::span<const Run> ImageReader::Runs(std::string_view space) const {
  const auto found = spaces_.find(space);
  if (found == spaces_.end()) return {};
  return found->second;
}

Result<> ImageReader::ReadStored(const Segment& segment, const Block& block, std::vector<std::byte>& stored) const {
  stored.resize(block.stored_bytes);
  if (auto read = PreadExactly(segment.file.get(), stored, block.file_offset); !read) {
    return read.Fail("image {}: {}", directory_, segment.name);
  }
  if (Checksum64(stored) != block.checksum) {
    return Corrupt(fmt::format("image {}: {}: damaged in the block at {} (its checksum does not fit)", directory_,
                               segment.name, block.file_offset));
  }
  return {};
}

Result<> ImageReader::ReadBlock(const Segment& segment, const Block& block, std::vector<std::byte>& content) const {
  if (block.stored_bytes == block.bytes) return ReadStored(segment, block, content);
  std::vector<std::byte> stored;
  BATON_CHECKED(ReadStored(segment, block, stored));
  content.resize(block.bytes);
  const size_t size = ZSTD_decompress(content.data(), content.size(), stored.data(), stored.size());
  if (ZSTD_isError(size) != 0 || size != block.bytes) {
    return Corrupt(
        fmt::format("image {}: {}: the block at {} does not unpack", directory_, segment.name, block.file_offset));
  }
  return {};
}

Result<> ImageReader::ReadContent(const Segment& segment, uint64_t offset, std::span<std::byte> bytes) const {
  std::vector<std::byte> content;
  while (!bytes.empty()) {
    // All blocks but the last are full: Open has seen to it.
    const Block& block = segment.blocks[offset / kBlockBytes];
    BATON_CHECKED(ReadBlock(segment, block, content));
    const size_t start = offset % kBlockBytes;
    const size_t part = std::min(bytes.size(), content.size() - start);
    std::copy_n(content.begin() + static_cast<ptrdiff_t>(start), part, bytes.begin());
    bytes = bytes.subspan(part);
    offset += part;
  }
  return {};
}

Result<> ImageReader::ReadPages(std::string_view space, uint64_t address, std::span<std::byte> pages) const {
  const std::span<const Run> runs = Runs(space);
  auto run = std::ranges::upper_bound(runs, address, {}, [](const Run& one) { return one.address + one.bytes(); });
  while (!pages.empty()) {
    if (run == runs.end() || run->address > address) {
      return MakeError(ErrorCode::kNotFound, "image {}: {} has no page at {:#x}", directory_, space, address);
    }
    const uint64_t skip = address - run->address;
    const size_t part = std::min<uint64_t>(pages.size(), run->bytes() - skip);
    if (run->kind == RunKind::kZero) {
      std::ranges::fill(pages.first(part), std::byte{0});
    } else {
      BATON_CHECKED(ReadContent(segments_[run->segment], run->file_offset + skip, pages.first(part)));
    }
    pages = pages.subspan(part);
    address += part;
    ++run;
  }
  return {};
}

Result<> ImageReader::Verify(unsigned threads) const {
  std::vector<std::pair<const Segment*, const Block*>> all;
  for (const Segment& segment : segments_) {
    for (const Block& block : segment.blocks) all.emplace_back(&segment, &block);
  }
  std::atomic<size_t> next{0};
  std::mutex mutex;
  std::optional<Error> first;
  const auto work = [&] {
    std::vector<std::byte> content;
    for (size_t i = next++; i < all.size(); i = next++) {
      auto read = ReadBlock(*all[i].first, *all[i].second, content);
      if (read) continue;
      const std::lock_guard lock(mutex);
      if (!first) first = read.error();
      next = all.size();
    }
  };
  {
    std::vector<std::jthread> helpers;
    for (unsigned i = 1; i < threads && i < all.size(); ++i) helpers.emplace_back(work);
    work();
  }
  if (first) return *first;
  return {};
}

}  // namespace baton
