// KnownFiles: what earlier looks (the previous checkpoint, the rounds before the freeze) found out about each file of a
// workspace, so that it is read again only if its status says that it may have changed.
//
// Files are found by device and inode: one that was renamed is still known, all names of one file share what is known.
// Thread-safety: as for a plain value.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "workspace/content.h"
#include "workspace/manifest.pb.h"
#include "workspace/walk.h"

namespace baton {

using Xattrs = std::vector<std::pair<std::string, std::string>>;

// All of a file, directory or link that is not in its status.
struct KnownFile {
  FileStatus status;
  // The content may have changed since though the status is the same.
  bool unsettled = false;
  bool sparse = false;
  std::vector<Piece> pieces = {};
  std::string link_target = {};
  Xattrs xattrs = {};
  // Number of the walk in which it was last read; 0: in none.
  uint32_t read_in_walk = 0;
};

class KnownFiles {
 public:
  KnownFiles() = default;
  // What a manifest says; entries without an inode are left out.
  explicit KnownFiles(const pb::WorkspaceManifest& previous);

  // Null if nothing is known.
  KnownFile* Find(const FileKey& key);
  KnownFile& Set(const FileKey& key, KnownFile file);

 private:
  struct KeyHash {
    size_t operator()(const FileKey& key) const { return key.second * 0x9E3779B97F4A7C15U ^ key.first; }
  };
  std::unordered_map<FileKey, KnownFile, KeyHash> files_;
};

std::vector<Piece> PiecesOf(const pb::WorkspaceEntry& entry);
Xattrs XattrsOf(const pb::WorkspaceEntry& entry);

// A manifest's entry of `node`, whose details are `known` (not used for what cannot have any).
pb::WorkspaceEntry EntryOf(const Node& node, const KnownFile& known);

// TYPE_UNSPECIFIED for what is not saved: sockets and devices.
pb::WorkspaceEntry::Type TypeOf(const FileStatus& status);

}  // namespace baton
