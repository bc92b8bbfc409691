#include "workspace/known_files.h"

#include <sys/stat.h>

namespace baton {
namespace {

uint32_t FileTypeOf(pb::WorkspaceEntry::Type type) {
  switch (type) {
    case pb::WorkspaceEntry::DIRECTORY:
      return S_IFDIR;
    case pb::WorkspaceEntry::FILE:
      return S_IFREG;
    case pb::WorkspaceEntry::SYMLINK:
      return S_IFLNK;
    case pb::WorkspaceEntry::FIFO:
      return S_IFIFO;
    default:
      return 0;
  }
}

KnownFile FromEntry(const pb::WorkspaceEntry& entry) {
  KnownFile known;
  known.status.file_type = FileTypeOf(entry.type());
  known.status.size = entry.size();
  known.status.device = entry.device();
  known.status.inode = entry.inode();
  known.status.mtime_ns = entry.mtime_ns();
  known.status.ctime_ns = entry.ctime_ns();
  known.unsettled = entry.unsettled();
  known.sparse = entry.sparse();
  known.pieces = PiecesOf(entry);
  known.link_target = entry.link_target();
  known.xattrs = XattrsOf(entry);
  return known;
}

}  // namespace

KnownFiles::KnownFiles(const pb::WorkspaceManifest& previous) {
  for (const pb::WorkspaceEntry& entry : previous.entries()) {
    if (entry.inode() == 0 || entry.type() == pb::WorkspaceEntry::HARD_LINK) continue;
    files_.insert_or_assign({entry.device(), entry.inode()}, FromEntry(entry));
  }
}

KnownFile* KnownFiles::Find(const FileKey& key) {
  const auto found = files_.find(key);
  return found == files_.end() ? nullptr : &found->second;
}

KnownFile& KnownFiles::Set(const FileKey& key, KnownFile file) {
  return files_.insert_or_assign(key, std::move(file)).first->second;
}

std::vector<Piece> PiecesOf(const pb::WorkspaceEntry& entry) {
  std::vector<Piece> pieces;
  pieces.reserve(static_cast<size_t>(entry.pieces_size()));
  for (const pb::WorkspacePiece& piece : entry.pieces()) {
    pieces.push_back(
        {.offset = piece.offset(), .length = piece.length(), .hash = ContentHash::FromBytes(piece.hash())});
  }
  return pieces;
}

Xattrs XattrsOf(const pb::WorkspaceEntry& entry) {
  Xattrs xattrs;
  for (const pb::WorkspaceXattr& xattr : entry.xattrs()) xattrs.emplace_back(xattr.name(), xattr.value());
  return xattrs;
}

pb::WorkspaceEntry::Type TypeOf(const FileStatus& status) {
  switch (status.file_type) {
    case S_IFDIR:
      return pb::WorkspaceEntry::DIRECTORY;
    case S_IFREG:
      return pb::WorkspaceEntry::FILE;
    case S_IFLNK:
      return pb::WorkspaceEntry::SYMLINK;
    case S_IFIFO:
      return pb::WorkspaceEntry::FIFO;
    default:
      return pb::WorkspaceEntry::TYPE_UNSPECIFIED;
  }
}

pb::WorkspaceEntry EntryOf(const Node& node, const KnownFile& known) {
  pb::WorkspaceEntry entry;
  entry.set_root(node.root);
  entry.set_path(node.path);
  entry.set_type(TypeOf(node.status));
  if (entry.type() != pb::WorkspaceEntry::SYMLINK) entry.set_mode(node.status.mode);
  entry.set_uid(node.status.uid);
  entry.set_gid(node.status.gid);
  entry.set_mtime_ns(node.status.mtime_ns);
  entry.set_ctime_ns(node.status.ctime_ns);
  entry.set_device(node.status.device);
  entry.set_inode(node.status.inode);
  entry.set_unsettled(known.unsettled || node.unsettled);
  for (const auto& [name, value] : known.xattrs) {
    pb::WorkspaceXattr& xattr = *entry.add_xattrs();
    xattr.set_name(name);
    xattr.set_value(value);
  }
  if (entry.type() == pb::WorkspaceEntry::SYMLINK) entry.set_link_target(known.link_target);
  if (entry.type() != pb::WorkspaceEntry::FILE) return entry;
  entry.set_size(node.status.size);
  entry.set_sparse(known.sparse);
  for (const Piece& piece : known.pieces) {
    pb::WorkspacePiece& saved = *entry.add_pieces();
    saved.set_offset(piece.offset);
    saved.set_length(piece.length);
    saved.set_hash(piece.hash.Bytes());
  }
  return entry;
}

}  // namespace baton
