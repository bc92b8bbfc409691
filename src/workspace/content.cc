#include "workspace/content.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/file.h"
#include "workspace/manifest.h"

namespace baton {
namespace {

// Where the next data at or after `offset` begins; `size` if there is none.
Result<uint64_t> NextData(int fd, uint64_t offset, uint64_t size) {
  const off_t at = lseek(fd, static_cast<off_t>(offset), SEEK_DATA);
  const int error = errno;
  if (at >= 0) return std::min(static_cast<uint64_t>(at), size);
  if (error == ENXIO) return size;
  if (error == EINVAL) return offset;  // a file system without holes
  return ErrnoError(error, "look for data");
}

// As much as there is, up to bytes.size().
Result<size_t> ReadUpTo(int fd, std::span<std::byte> bytes, uint64_t offset) {
  size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t got = pread(fd, bytes.data() + done, bytes.size() - done, static_cast<off_t>(offset + done));
    const int error = errno;
    if (got < 0 && error == EINTR) continue;
    if (got < 0) return ErrnoError(error, "read {} bytes at {}", bytes.size() - done, offset + done);
    if (got == 0) break;
    done += static_cast<size_t>(got);
  }
  return done;
}

// Walks over the stretches of a file that pieces are made of: [offset, end) within one multiple of kPieceBytes.
class Stretches {
 public:
  Stretches(int fd, uint64_t size, bool sparse) : fd_(fd), size_(size), sparse_(sparse) {}
  // False at the end of the file.
  Result<bool> Next() {
    offset_ = end_;
    if (sparse_ && offset_ < size_) {
      BATON_TRY(offset_, NextData(fd_, offset_, size_));
    }
    end_ = std::min(size_, (offset_ / kPieceBytes + 1) * kPieceBytes);
    return offset_ < size_;
  }
  uint64_t offset() const { return offset_; }
  uint32_t length() const { return static_cast<uint32_t>(end_ - offset_); }

 private:
  int fd_;
  uint64_t size_;
  bool sparse_;
  uint64_t offset_ = 0;
  uint64_t end_ = 0;
};

bool AllZero(std::span<const std::byte> bytes) {
  // Compares the range with itself shifted by one: as fast as memcmp(3).
  return bytes.empty() ||
         (bytes[0] == std::byte{0} && std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0);
}

const Piece* FindAt(std::span<const Piece> pieces, uint64_t offset, uint32_t length) {
  const auto found = std::ranges::lower_bound(pieces, offset, {}, &Piece::offset);
  if (found == pieces.end() || found->offset != offset || found->length != length) return nullptr;
  return &*found;
}

Result<> WriteWithHoles(int fd, std::span<const std::byte> content, uint64_t offset) {
  constexpr size_t kBlock = 4096;
  while (!content.empty()) {
    const size_t length = std::min(content.size(), kBlock - static_cast<size_t>(offset % kBlock));
    if (!AllZero(content.first(length))) BATON_CHECKED(PwriteAll(fd, content.first(length), offset));
    content = content.subspan(length);
    offset += length;
  }
  return {};
}

size_t BufferFor(uint64_t size) { return static_cast<size_t>(std::min<uint64_t>(size, kPieceBytes)); }

}  // namespace

Result<> PieceStore::Add(const ContentHash& hash, std::span<const std::byte> content) {
  if (held_bytes_ + content.size() <= hold_bytes_) {
    held_.push_back({.hash = hash, .content = {content.begin(), content.end()}});
    held_bytes_ += content.size();
    new_bytes_ += content.size();
    return {};
  }
  BATON_TRY(const bool fresh, pool_.Put(hash, content));
  if (fresh) new_bytes_ += content.size();
  return {};
}

Result<> PieceStore::Flush() {
  for (const Held& held : held_) BATON_CHECKED(pool_.Put(held.hash, held.content));
  held_.clear();
  held_bytes_ = 0;
  hold_bytes_ = 0;
  return {};
}

Result<ReadContent> ReadPieces(const ReadRequest& request, PieceStore& store) {
  ReadContent content;
  std::vector<std::byte> buffer(BufferFor(request.size));
  Stretches stretches(request.fd, request.size, request.sparse);
  while (true) {
    BATON_TRY(const bool more, stretches.Next());
    if (!more) return content;
    const Piece* known = FindAt(request.known, stretches.offset(), stretches.length());
    if (known != nullptr && known->offset + known->length <= request.trusted_bytes) {
      content.pieces.push_back(*known);
      continue;
    }
    const auto wanted = std::span(buffer).first(stretches.length());
    BATON_TRY(const size_t got, ReadUpTo(request.fd, wanted, stretches.offset()));
    content.bytes_read += got;
    content.cut_short = got < wanted.size();
    if (got > 0) {
      const Piece piece{
          .offset = stretches.offset(), .length = static_cast<uint32_t>(got), .hash = HashContent(wanted.first(got))};
      if (known == nullptr || *known != piece) BATON_CHECKED(store.Add(piece.hash, wanted.first(got)));
      content.pieces.push_back(piece);
    }
    if (content.cut_short) return content;
  }
}

Result<bool> ContentMatches(int fd, uint64_t size, bool sparse, std::span<const Piece> pieces) {
  std::vector<std::byte> buffer(BufferFor(size));
  uint64_t checked = 0;
  // What no piece covers must read as zeros; a hole there is skipped over.
  const auto zeros_until = [&](uint64_t end) -> Result<bool> {
    while (checked < end) {
      if (sparse) {
        BATON_TRY(checked, NextData(fd, checked, end));
      }
      const auto part = std::span(buffer).first(static_cast<size_t>(std::min<uint64_t>(buffer.size(), end - checked)));
      BATON_TRY(const size_t got, ReadUpTo(fd, part, checked));
      if (got < part.size() || !AllZero(part)) return false;
      checked += got;
    }
    return true;
  };
  for (const Piece& piece : pieces) {
    BATON_TRY(const bool zeros, zeros_until(piece.offset));
    if (!zeros) return false;
    const auto part = std::span(buffer).first(piece.length);
    BATON_TRY(const size_t got, ReadUpTo(fd, part, piece.offset));
    if (got < part.size() || HashContent(part) != piece.hash) return false;
    checked = piece.offset + piece.length;
  }
  return zeros_until(size);
}

Result<> WritePieces(const ObjectPool& pool, std::span<const Piece> pieces, uint64_t size, bool sparse, int fd) {
  std::vector<std::byte> buffer(BufferFor(size));
  for (const Piece& piece : pieces) {
    const auto part = std::span(buffer).first(piece.length);
    BATON_CHECKED(pool.Read(piece.hash, part));
    BATON_CHECKED(sparse ? WriteWithHoles(fd, part, piece.offset) : PwriteAll(fd, part, piece.offset));
  }
  // Also makes holes at the end, and is how an impossible size shows before much is written.
  const int failed = ftruncate(fd, static_cast<off_t>(size));
  if (const int error = errno; failed != 0) return ErrnoError(error, "make the file {} bytes long", size);
  return {};
}

}  // namespace baton
