#include "engine/native/copy_buffer.h"

#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <string>
#include <utility>

#include "base/check.h"
#include "base/file.h"

namespace baton {
namespace {

constexpr size_t kHugePage = size_t{2} << 20;

}  // namespace

CopyBuffer::CopyBuffer(CopyBuffer&& other) noexcept
    : chunks_(std::exchange(other.chunks_, {})), current_(std::exchange(other.current_, 0)) {}

CopyBuffer::~CopyBuffer() {
  for (const Chunk& chunk : chunks_) munmap(chunk.start, chunk.bytes);
}

Result<uint64_t> AvailableMemory() {
  BATON_TRY(const std::string text, ReadFile("/proc/meminfo"));
  constexpr std::string_view kKey = "MemAvailable:";
  const size_t at = text.find(kKey);
  if (at == std::string::npos) return MakeError(ErrorCode::kNotSupported, "/proc/meminfo has no MemAvailable");
  const size_t digits = text.find_first_not_of(' ', at + kKey.size());
  uint64_t kib = 0;
  std::from_chars(text.data() + digits, text.data() + text.size(), kib);
  return kib * 1024;
}

Result<> CopyBuffer::Prepare(uint64_t bytes) {
  BATON_TRY(const uint64_t available, AvailableMemory());
  if (bytes > available) {
    return MakeError(
        ErrorCode::kUnavailable,
        "saving needs {} MiB of memory for the copy, {} MiB are free: free some, or save when less is in use",
        bytes >> 20, available >> 20);
  }
  for (uint64_t have = 0; have < bytes; have += kMaxBlock) {
    const uint64_t missing = (bytes - have + kHugePage - 1) / kHugePage * kHugePage;
    BATON_CHECKED(AddChunk(std::min<uint64_t>(missing, kMaxBlock)));
  }
  return {};
}

void CopyBuffer::Clear() {
  for (Chunk& chunk : chunks_) chunk.used = 0;
  current_ = 0;
}

Result<> CopyBuffer::AddChunk(size_t bytes) {
  void* start = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (const int error = errno; start == MAP_FAILED) return ErrnoError(error, "memory for the copy");
  madvise(start, bytes, MADV_HUGEPAGE);
  madvise(start, bytes, MADV_POPULATE_WRITE);  // before Linux 5.14: faults come in the pause instead
  chunks_.push_back({static_cast<std::byte*>(start), bytes, 0, 0});
  return {};
}

// Whole huge pages only: to split one costs more than it gives.
void CopyBuffer::Release(std::span<const std::byte> taken) {
  for (Chunk& chunk : chunks_) {
    const std::byte* end = taken.data() + taken.size();
    if (taken.data() < chunk.start || end > chunk.start + chunk.bytes) continue;
    const size_t done = static_cast<size_t>(end - chunk.start) / kHugePage * kHugePage;
    if (done <= chunk.released) return;
    madvise(chunk.start + chunk.released, done - chunk.released, MADV_DONTNEED);
    chunk.released = done;
    return;
  }
}

Result<std::span<std::byte>> CopyBuffer::Take(size_t bytes) {
  BATON_CHECK(bytes <= kMaxBlock);
  while (current_ < chunks_.size() && chunks_[current_].bytes - chunks_[current_].used < bytes) ++current_;
  if (current_ == chunks_.size()) BATON_CHECKED(AddChunk(kMaxBlock));
  Chunk& chunk = chunks_[current_];
  const std::span<std::byte> taken(chunk.start + chunk.used, bytes);
  chunk.used += bytes;
  return taken;
}

}  // namespace baton
