// The content of one file as pieces: the file is cut at multiples of 4 MiB, so that of a large file of which little has
// changed (a log that grew, a database) only the pieces with a change are stored again. Holes have no piece.
//
// Thread-safety: one thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"
#include "workspace/hash.h"
#include "workspace/objects.h"

namespace baton {

struct Piece {
  uint64_t offset = 0;
  uint32_t length = 0;
  ContentHash hash;
  bool operator==(const Piece&) const = default;
};

// Takes the pieces that are new: straight into the pool, or, while the job stands still, into memory as far as that is
// allowed. REQUIRES: `pool` outlives it.
class PieceStore {
 public:
  explicit PieceStore(ObjectPool& pool) : pool_(pool) {}
  // From now on up to `bytes` are held back in memory until Flush.
  void HoldUpTo(uint64_t bytes) { hold_bytes_ = bytes; }
  Result<> Add(const ContentHash& hash, std::span<const std::byte> content);
  // Puts what is held into the pool and holds no more.
  Result<> Flush();
  // Bytes added that were not in the pool, or may not have been.
  uint64_t new_bytes() const { return new_bytes_; }

 private:
  struct Held {
    ContentHash hash;
    std::vector<std::byte> content;
  };
  ObjectPool& pool_;
  uint64_t hold_bytes_ = 0;
  uint64_t held_bytes_ = 0;
  uint64_t new_bytes_ = 0;
  std::vector<Held> held_;
};

struct ReadRequest {
  int fd = -1;
  uint64_t size = 0;  // as last seen; reading stops there
  bool sparse = false;
  // What is known of an earlier state: pieces with the same hash are not stored again.
  std::span<const Piece> known = {};
  // Known pieces that end at or before this offset are taken as they are, unread.
  uint64_t trusted_bytes = 0;
};

struct ReadContent {
  std::vector<Piece> pieces;
  uint64_t bytes_read = 0;
  bool cut_short = false;  // the file ended before `size`
};

Result<ReadContent> ReadPieces(const ReadRequest& request, PieceStore& store);

// Whether the file's content is exactly that of the pieces, zeros elsewhere, `size` bytes long.
Result<bool> ContentMatches(int fd, uint64_t size, bool sparse, std::span<const Piece> pieces);

// Writes the pieces, checked, into the empty file `fd` and makes it `size` bytes long. `sparse`: zeros become holes.
Result<> WritePieces(const ObjectPool& pool, std::span<const Piece> pieces, uint64_t size, bool sparse, int fd);

}  // namespace baton
