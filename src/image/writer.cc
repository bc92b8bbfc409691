#include "image/writer.h"

#include <fcntl.h>
#include <sys/random.h>
#include <time.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/check.h"
#include "base/fault.h"
#include "base/file.h"
#include "image/digest.h"
#include "image/framed_file.h"
#include "image/records_file.h"

namespace baton {
namespace {

bool IsZero(std::span<const std::byte> page) {
  return page[0] == std::byte{0} && std::memcmp(page.data(), page.data() + 1, page.size() - 1) == 0;
}

int64_t RealtimeNs() {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

Result<std::string> RandomId() {
  std::string id(16, '\0');
  if (getrandom(id.data(), id.size(), 0) != static_cast<ssize_t>(id.size())) return ErrnoError(errno, "getrandom");
  return id;
}

// Sorts the runs, joins neighbours. kInternal if two overlap: whoever added the pages made a mistake.
Result<> Tidy(pb::PageSpace& space) {
  auto& runs = *space.mutable_runs();
  std::ranges::sort(runs, {}, [](const pb::PageRun& run) { return run.first_page(); });
  int kept = 0;
  for (int i = 0; i < runs.size(); ++i) {
    pb::PageRun& run = runs[i];
    if (kept > 0) {
      pb::PageRun& last = runs[kept - 1];
      const uint64_t end = last.first_page() + last.pages();
      if (end > run.first_page()) {
        return MakeError(ErrorCode::kInternal, "pages of {} at {:#x} were given twice", space.name(),
                         run.first_page() * kImagePage);
      }
      const bool follows =
          end == run.first_page() && last.kind() == run.kind() && last.segment() == run.segment() &&
          (run.kind() != pb::PageRun::DATA || last.offset() + last.pages() * kImagePage == run.offset());
      if (follows) {
        last.set_pages(last.pages() + run.pages());
        continue;
      }
    }
    if (kept != i) runs[kept] = run;
    ++kept;
  }
  runs.DeleteSubrange(kept, runs.size() - kept);
  return {};
}

}  // namespace

ImageWriter::ImageWriter(std::string directory, UniqueFd records, const ImageWriterOptions& options)
    : directory_(std::move(directory)),
      records_(std::move(records)),
      segments_(directory_, options.zstd_level, options.bypass_cache) {}

Result<ImageWriter> ImageWriter::Create(const std::string& directory, const ImageWriterOptions& options) {
  BATON_CHECKED(MakeDirectories(directory));
  const std::string path = directory + "/" + kRecordsFile;
  auto records = OpenFile(path, O_RDWR | O_CREAT | O_EXCL, 0600);
  if (!records) return records.Fail("new image");
  ImageWriter writer(directory, std::move(*records), options);
  BATON_TRY(*writer.manifest_.mutable_id(), RandomId());
  writer.manifest_.set_created_ns(RealtimeNs());
  writer.buffer_ = BeginRecords();
  return writer;
}

Result<> ImageWriter::AddRecord(const Record& record) {
  BATON_CHECKED(FailPoint("image.record"));
  AppendRecord(buffer_, record);
  ++record_count_;
  return {};
}

pb::PageSpace& ImageWriter::Space(std::string_view name) {
  auto found = spaces_.find(name);
  if (found == spaces_.end()) {
    found = spaces_.emplace(std::string(name), pb::PageSpace()).first;
    found->second.set_name(found->first);
  }
  return found->second;
}

Result<> ImageWriter::AddPages(std::string_view space, uint64_t address, std::span<const std::byte> pages) {
  BATON_CHECKED(FailPoint("image.pages"));
  BATON_CHECK(address % kImagePage == 0 && pages.size() % kImagePage == 0);
  pb::PageSpace& target = Space(space);
  for (size_t start = 0; start < pages.size();) {
    const bool zero = IsZero(pages.subspan(start, kImagePage));
    size_t end = start + kImagePage;
    while (end < pages.size() && IsZero(pages.subspan(end, kImagePage)) == zero) end += kImagePage;
    BATON_CHECKED(AddRun(target, (address + start) / kImagePage, pages.subspan(start, end - start), zero));
    start = end;
  }
  return {};
}

Result<> ImageWriter::AddRun(pb::PageSpace& space, uint64_t first_page, std::span<const std::byte> pages, bool zero) {
  while (!pages.empty()) {
    size_t taken = pages.size();
    pb::PageRun& run = *space.add_runs();
    run.set_first_page(first_page);
    if (zero) {
      run.set_kind(pb::PageRun::ZERO);
    } else {
      BATON_TRY(const SegmentWriter::Place place, segments_.Append(pages, taken));
      run.set_segment(place.segment);
      run.set_offset(place.offset);
    }
    run.set_pages(taken / kImagePage);
    first_page += run.pages();
    pages = pages.subspan(taken);
  }
  return {};
}

Result<> ImageWriter::FinishRecords() {
  EndRecords(buffer_, record_count_);
  BATON_CHECKED(WriteAll(records_.get(), buffer_));
  BATON_CHECKED(SyncFd(records_.get(), directory_ + "/" + kRecordsFile));
  pb::FileEntry& entry = *manifest_.add_files();
  entry.set_name(kRecordsFile);
  entry.set_bytes(buffer_.size());
  entry.set_digest(Digest128(std::as_bytes(std::span(buffer_))));
  return {};
}

Result<> ImageWriter::FinishIndex() {
  pb::PageIndex index;
  for (size_t i = 0; i < segments_.segments().size(); ++i) {
    *index.add_segments() = segments_.segments()[i];
    pb::FileEntry& entry = *manifest_.add_files();
    entry.set_name(SegmentFileName(i));
    entry.set_bytes(segments_.file_bytes()[i]);
  }
  for (auto& [name, space] : spaces_) {
    BATON_CHECKED(Tidy(space));
    *index.add_spaces() = std::move(space);
  }
  BATON_TRY(const std::string framed, FrameMessage(kIndexMagic, index));
  BATON_CHECKED(WriteFileDurably(directory_ + "/" + kIndexFile, framed));
  pb::FileEntry& entry = *manifest_.add_files();
  entry.set_name(kIndexFile);
  entry.set_bytes(framed.size());
  entry.set_digest(Digest128(std::as_bytes(std::span(framed))));
  return {};
}

Result<> ImageWriter::Finish() {
  BATON_CHECKED(FailPoint("image.finish"));
  if (auto finished = segments_.Finish(); !finished) return finished.Fail("pages");
  if (auto finished = FinishRecords(); !finished) return finished.Fail("records");
  if (auto finished = FinishIndex(); !finished) return finished.Fail("index");
  BATON_TRY(const std::string framed, FrameMessage(kImageManifestMagic, manifest_));
  return WriteFileDurably(directory_ + "/" + kManifestFile, framed);
}

}  // namespace baton
