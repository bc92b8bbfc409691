// ObjectPool: the pieces of content of one job's workspace, one file each, named by their hash.
//
//   DIR/incoming-<pid>-<n>/<hash>   being written by a save: not synced, not yet an object
//   DIR/<xx>/<hash>                 object; its first two digits are <xx>; synced before it got this name
//
// What has its final name and is damaged nevertheless is found by size and hash whenever it is read, and replaced when
// the same content is put again. Thread-safety: one thread at a time. Ownership: owns its descriptors and its incoming
// directory, which the destructor removes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_set>

#include "base/result.h"
#include "base/unique_fd.h"
#include "workspace/hash.h"

namespace baton {

class ObjectPool {
 public:
  // For reading; kNotFound if there is none.
  static Result<ObjectPool> OpenForReading(const std::string& dir);
  // For a save or a collection, made if missing; kUnavailable while another holds it. (The lock is a safety net: where
  // the file system has none, there is none.)
  static Result<ObjectPool> OpenForWriting(const std::string& dir);
  ObjectPool(ObjectPool&& other) noexcept;
  ObjectPool& operator=(ObjectPool&&) = delete;
  ~ObjectPool();

  const std::string& dir() const { return dir_; }
  int dir_fd() const { return fd_.get(); }

  // Stores `content` if it is not there (whole) already; a later Commit makes it an object. Returns whether it was new.
  // REQUIRES: opened for writing.
  Result<bool> Put(const ContentHash& hash, std::span<const std::byte> content);
  // An empty file of this pool's file system that is gone when closed, to hold content for a while.
  Result<UniqueFd> MakeScratchFile();
  // Makes all that was put durable, then gives it its final name, durably too.
  Result<> Commit();

  // Reads one object into `content`, whose size is what it must have. kNotFound, or kCorrupt if size or hash is wrong.
  Result<> Read(const ContentHash& hash, std::span<std::byte> content) const;

  // Deletes every object that is not in `needed`, and all incoming directories. Returns bytes freed.
  Result<uint64_t> Collect(const std::unordered_set<ContentHash, ContentHashHasher>& needed);

 private:
  ObjectPool(std::string dir, UniqueFd fd) : dir_(std::move(dir)), fd_(std::move(fd)) {}
  Result<> MakeIncoming();
  Result<bool> HasWhole(const ContentHash& hash, std::span<const std::byte> content) const;
  Result<> SyncIncoming();
  Result<> RenameIncoming();
  Result<uint64_t> CollectFolder(const std::string& name, const std::unordered_set<std::string>& keep);

  std::string dir_;
  UniqueFd fd_;
  bool locked_ = false;
  std::string incoming_name_;
  std::optional<UniqueFd> incoming_;
  std::unordered_set<ContentHash, ContentHashHasher> known_;  // seen whole or written by this pool object
  std::unordered_set<ContentHash, ContentHashHasher> fresh_;  // in incoming_
};

}  // namespace baton
