#include "engine/native/page_fill.h"

#include <algorithm>
#include <thread>

#include "base/file.h"
#include "task/remote_memory.h"

namespace baton {
namespace {

constexpr uint64_t kChunkBytes = uint64_t{4} << 20;
constexpr size_t kBatchChunks = 512;  // what the process itself takes at once, at most
constexpr uint64_t kBatchBytes = uint64_t{16} << 20;
constexpr uint64_t kWorthHelping = uint64_t{32} << 20;  // below, a thread costs more than it gives
constexpr size_t kBufferBytes = size_t{256} << 10;      // stays in the processor's cache
constexpr unsigned kMaxHelpers = 3;

}  // namespace

void PageFill::Add(size_t segment, uint64_t offset, uint64_t address, uint64_t bytes) {
  bytes_ += bytes;
  while (bytes > 0) {
    const uint64_t part = std::min(bytes, kChunkBytes);
    chunks_.push_back({segment, offset, address, part});
    offset += part;
    address += part;
    bytes -= part;
  }
}

Result<> PageFill::Run(const ReadInside& read_inside) {
  front_ = 0;
  back_ = chunks_.size();
  std::vector<std::jthread> helpers;
  const unsigned cores = std::max(1U, std::thread::hardware_concurrency());
  const unsigned count = bytes_ < kWorthHelping ? 0 : std::min(cores - 1, kMaxHelpers);
  for (unsigned i = 0; i < count; ++i) helpers.emplace_back([this] { Help(); });
  Result<> inside;
  while (inside) {
    const std::span<const Chunk> chunks = TakeFront();
    if (chunks.empty()) break;
    inside = read_inside(chunks);
  }
  if (!inside) {
    const std::scoped_lock lock(mutex_);
    back_ = front_;
  }
  helpers.clear();  // joins
  if (!inside) return inside;
  return std::move(trouble_);
}

std::span<const PageFill::Chunk> PageFill::TakeFront() {
  const std::scoped_lock lock(mutex_);
  const size_t first = front_;
  for (uint64_t bytes = 0; front_ < back_ && front_ - first < kBatchChunks && bytes < kBatchBytes; ++front_) {
    bytes += chunks_[front_].bytes;
  }
  return std::span(chunks_).subspan(first, front_ - first);
}

std::span<const PageFill::Chunk> PageFill::TakeBack() {
  const std::scoped_lock lock(mutex_);
  const size_t taken = std::min<size_t>(1, back_ - front_);
  back_ -= taken;
  return std::span(chunks_).subspan(back_, taken);
}

void PageFill::Help() {
  std::vector<std::byte> buffer(kBufferBytes);
  while (true) {
    const std::span<const Chunk> chunk = TakeBack();
    if (chunk.empty()) return;
    auto copied = Copy(chunk.front(), buffer);
    if (copied) continue;
    const std::scoped_lock lock(mutex_);
    if (trouble_) trouble_ = std::move(copied);
    return;
  }
}

Result<> PageFill::Copy(const Chunk& chunk, std::span<std::byte> buffer) const {
  for (uint64_t done = 0; done < chunk.bytes; done += buffer.size()) {
    const std::span<std::byte> part = buffer.first(std::min<uint64_t>(buffer.size(), chunk.bytes - done));
    BATON_CHECKED(PreadExactly(segment_fds_[chunk.segment], part, chunk.offset + done));
    BATON_CHECKED(WriteRemote(pid_, RemotePtr<>(chunk.address + done), part));
  }
  return {};
}

}  // namespace baton
