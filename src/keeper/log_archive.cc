#include "keeper/log_archive.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <functional>
#include <span>
#include <vector>

#include "base/file.h"
#include "image/digest.h"

namespace baton {
namespace {

using Chunk = std::span<const std::byte>;

// Calls `each` with the chunks of [first_chunk, end) of a file.
Result<> ForChunks(int file, uint64_t first_chunk, uint64_t end,
                   const std::function<Result<>(uint64_t index, Chunk chunk)>& each) {
  std::vector<std::byte> buffer;
  for (uint64_t at = first_chunk * kLogChunk; at < end; at += kLogChunk) {
    buffer.resize(std::min(kLogChunk, end - at));
    BATON_CHECKED(PreadExactly(file, buffer, at));
    BATON_CHECKED(each(at / kLogChunk, buffer));
  }
  return {};
}

Result<> CheckChunks(int file, const std::string& path, const pb::LogState& state) {
  const uint64_t chunks = (state.bytes() + kLogChunk - 1) / kLogChunk;
  if (static_cast<uint64_t>(state.checksums_size()) != chunks) {
    return MakeError(ErrorCode::kCorrupt, "{} checksums for a log of {} bytes", state.checksums_size(), state.bytes());
  }
  return ForChunks(file, 0, state.bytes(), [&](uint64_t index, Chunk chunk) -> Result<> {
    if (Checksum64(chunk) == state.checksums(static_cast<int>(index))) return {};
    return MakeError(ErrorCode::kCorrupt, "{} is not what it was: its bytes from {} on have changed", path,
                     index * kLogChunk);
  });
}

Result<> Truncate(int file, const std::string& path, uint64_t bytes) {
  const int cut = ftruncate(file, static_cast<off_t>(bytes));
  if (const int error = errno; cut != 0) return ErrnoError(error, "cut {} to {} bytes", path, bytes);
  return {};
}

Result<> CopyLog(const std::string& archive, const pb::LogState& state, const std::string& log) {
  const std::string fresh = log + ".restoring";
  BATON_TRY(const UniqueFd from, OpenFile(archive, O_RDONLY));
  BATON_TRY(const UniqueFd to, OpenFile(fresh, O_WRONLY | O_CREAT | O_TRUNC, 0600));
  BATON_CHECKED(ForChunks(from.get(), 0, state.bytes(),
                          [&](uint64_t index, Chunk chunk) { return PwriteAll(to.get(), chunk, index * kLogChunk); }));
  BATON_CHECKED(SyncFd(to.get(), fresh));
  const int renamed = rename(fresh.c_str(), log.c_str());
  if (const int error = errno; renamed != 0) return ErrnoError(error, "rename {} to {}", fresh, log);
  return {};
}

}  // namespace

Result<pb::LogState> ArchiveLog(const std::string& log, uint64_t bytes, const pb::LogState& previous,
                                const std::string& archive) {
  pb::LogState state;
  BATON_TRY(const bool regular, IsRegularFile(log));
  state.set_not_kept(!regular);
  if (!regular) return state;
  // A log that is shorter than it was: only by hand. Then all of it is taken.
  const bool grown = previous.bytes() <= bytes;
  const uint64_t whole = grown ? previous.bytes() / kLogChunk : 0;
  state.set_bytes(bytes);
  for (uint64_t i = 0; i < whole; ++i) state.add_checksums(previous.checksums(static_cast<int>(i)));
  BATON_TRY(const UniqueFd from, OpenFile(log, O_RDONLY));
  BATON_TRY(const UniqueFd to, OpenFile(archive, O_WRONLY | O_CREAT, 0600));
  BATON_CHECKED(ForChunks(from.get(), whole, bytes, [&](uint64_t index, Chunk chunk) {
    state.add_checksums(Checksum64(chunk));
    return PwriteAll(to.get(), chunk, index * kLogChunk);
  }));
  BATON_CHECKED(SyncFd(to.get(), archive));
  return state;
}

Result<> VerifyLog(const std::string& archive, const pb::LogState& state) {
  if (state.not_kept() || state.bytes() == 0) return {};
  BATON_TRY(const UniqueFd file, OpenFile(archive, O_RDONLY));
  return CheckChunks(file.get(), archive, state);
}

Result<> RestoreLog(const std::string& archive, const pb::LogState& state, const std::string& log) {
  if (state.not_kept()) return {};
  const auto regular = IsRegularFile(log);
  if (regular && !*regular) return {};
  const auto file = OpenFile(log, O_RDWR);
  if (file && CheckChunks(file->get(), log, state)) return Truncate(file->get(), log, state.bytes());
  if (state.bytes() > 0) return CopyLog(archive, state, log);
  return WriteFile(log, "", 0600);
}

}  // namespace baton
