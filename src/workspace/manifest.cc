#include "workspace/manifest.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/limits.h>

#include <cstring>
#include <unordered_map>
#include <unordered_set>

#include "base/file.h"
#include "workspace/hash.h"

namespace baton {
namespace {

constexpr uint32_t kManifestVersion = 1;
constexpr size_t kMaxManifestBytes = size_t{1} << 30;
constexpr size_t kChecksumBytes = 8;
constexpr uint64_t kMaxFileBytes = uint64_t{1} << 62;
constexpr std::string_view kUserXattr = "user.";

Error Corrupt(std::string what) { return MakeError(ErrorCode::kCorrupt, "workspace manifest: {}", what); }

std::string EncodeChecksum(uint64_t checksum) {
  std::string bytes;
  for (size_t i = 0; i < kChecksumBytes; ++i) bytes.push_back(static_cast<char>(checksum >> (8 * i) & 0xff));
  return bytes;
}

bool IsSafePath(std::string_view path) {
  if (path.size() >= PATH_MAX || path.contains('\0')) return false;
  while (true) {
    const size_t slash = path.find('/');
    const std::string_view component = path.substr(0, slash);
    if (component.empty() || component == "." || component == ".." || component.size() > NAME_MAX) return false;
    if (IsReservedName(component)) return false;
    if (slash == std::string_view::npos) return true;
    path.remove_prefix(slash + 1);
  }
}

// Paths seen so far, by root, with the index of their entry. The views point into the manifest.
using SeenPaths = std::vector<std::unordered_map<std::string_view, int>>;

Result<> CheckPlace(const pb::WorkspaceManifest& manifest, int index, SeenPaths& seen) {
  const pb::WorkspaceEntry& entry = manifest.entries(index);
  if (entry.root() >= seen.size()) return Corrupt("no such root");
  auto& paths = seen[entry.root()];
  const std::string_view path = entry.path();
  if (path.empty() && entry.type() != pb::WorkspaceEntry::DIRECTORY) return Corrupt("a root that is no directory");
  if (!path.empty()) {
    if (!IsSafePath(path)) return Corrupt("the path is not a plain one below its root");
    const size_t slash = path.rfind('/');
    const auto parent = paths.find(slash == std::string_view::npos ? std::string_view{} : path.substr(0, slash));
    if (parent == paths.end()) return Corrupt("its directory is not listed before it");
    if (manifest.entries(parent->second).type() != pb::WorkspaceEntry::DIRECTORY) {
      return Corrupt("what it lies in is no directory");
    }
  }
  if (!paths.emplace(path, index).second) return Corrupt("the path is listed twice");
  return {};
}

Result<> CheckPieces(const pb::WorkspaceEntry& entry) {
  if (entry.size() > kMaxFileBytes) return Corrupt("impossible file size");
  uint64_t end = 0;
  for (const pb::WorkspacePiece& piece : entry.pieces()) {
    if (piece.hash().size() != kHashBytes) return Corrupt("a piece without a proper hash");
    if (piece.length() == 0 || piece.length() > kPieceBytes) return Corrupt("a piece of impossible length");
    if (piece.offset() < end || piece.offset() > entry.size() || piece.length() > entry.size() - piece.offset()) {
      return Corrupt("pieces overlap or lie outside the file");
    }
    end = piece.offset() + piece.length();
  }
  return {};
}

Result<> CheckXattrs(const pb::WorkspaceEntry& entry) {
  std::string_view last;
  for (const pb::WorkspaceXattr& xattr : entry.xattrs()) {
    const std::string_view name = xattr.name();
    if (!name.starts_with(kUserXattr) || name.size() > XATTR_NAME_MAX || name.contains('\0') || name <= last) {
      return Corrupt("impossible extended attribute");
    }
    last = name;
  }
  return {};
}

Result<> CheckFields(const pb::WorkspaceManifest& manifest, int index) {
  const pb::WorkspaceEntry& entry = manifest.entries(index);
  constexpr uint32_t kModeBits = 07777;
  if (entry.mode() > kModeBits) return Corrupt("impossible mode");
  if (entry.type() != pb::WorkspaceEntry::FILE && entry.pieces_size() != 0) return Corrupt("content without a file");
  BATON_CHECKED(CheckPieces(entry));
  BATON_CHECKED(CheckXattrs(entry));
  switch (entry.type()) {
    case pb::WorkspaceEntry::DIRECTORY:
    case pb::WorkspaceEntry::FILE:
    case pb::WorkspaceEntry::FIFO:
      return {};
    case pb::WorkspaceEntry::SYMLINK: {
      const std::string_view target = entry.link_target();
      if (target.empty() || target.size() >= PATH_MAX || target.contains('\0'))
        return Corrupt("impossible link target");
      return {};
    }
    case pb::WorkspaceEntry::HARD_LINK: {
      if (entry.hard_link_of() >= static_cast<uint32_t>(index)) return Corrupt("hard link to a later entry");
      const pb::WorkspaceEntry& target = manifest.entries(static_cast<int>(entry.hard_link_of()));
      if (target.type() != pb::WorkspaceEntry::FILE || target.root() != entry.root()) {
        return Corrupt("hard link to something that is no file of its root");
      }
      return {};
    }
    default:
      return Corrupt("unknown type");
  }
}

}  // namespace

bool IsReservedName(std::string_view component) {
  return component == kStagingName || component.starts_with(kSetAsidePrefix);
}

Result<> ValidateWorkspaceManifest(const pb::WorkspaceManifest& manifest) {
  if (manifest.version() != kManifestVersion) return Corrupt(fmt::format("version {}", manifest.version()));
  std::unordered_set<std::string_view> names;
  for (const pb::WorkspaceManifestRoot& root : manifest.roots()) {
    const std::string_view name = root.name();
    if (name.empty() || name.contains('/') || name.contains('\0') || name == "." || name == "..") {
      return Corrupt("impossible name of a root");
    }
    if (!names.insert(name).second) return Corrupt(fmt::format("two roots named {}", name));
  }
  SeenPaths seen(names.size());
  for (int index = 0; index < manifest.entries_size(); ++index) {
    Result<> good = CheckPlace(manifest, index, seen);
    if (good) good = CheckFields(manifest, index);
    if (!good) return good.Fail("entry {} ({:?})", index, manifest.entries(index).path());
  }
  for (const auto& paths : seen) {
    if (!paths.contains(std::string_view{})) return Corrupt("a root without an entry");
  }
  return {};
}

Result<pb::WorkspaceManifest> ParseWorkspaceManifest(std::string_view content) {
  if (!content.starts_with(kWorkspaceMagic)) return Corrupt("not one: it does not begin with BATONWS1");
  if (content.size() < kWorkspaceMagic.size() + kChecksumBytes) return Corrupt("cut short");
  const std::string_view checked = content.substr(0, content.size() - kChecksumBytes);
  if (content.substr(checked.size()) != EncodeChecksum(Checksum(checked))) return Corrupt("its checksum is wrong");
  const std::string_view body = checked.substr(kWorkspaceMagic.size());
  pb::WorkspaceManifest manifest;
  if (!manifest.ParseFromArray(body.data(), static_cast<int>(body.size()))) return Corrupt("not readable");
  BATON_CHECKED(ValidateWorkspaceManifest(manifest));
  return manifest;
}

Result<pb::WorkspaceManifest> LoadWorkspaceManifest(const std::string& path) {
  BATON_TRY(const std::string content, ReadFile(path, kMaxManifestBytes));
  auto manifest = ParseWorkspaceManifest(content);
  if (!manifest) return manifest.Fail("{}", path);
  return manifest;
}

std::string SerializeWorkspaceManifest(const pb::WorkspaceManifest& manifest) {
  std::string content(kWorkspaceMagic);
  manifest.AppendToString(&content);
  content += EncodeChecksum(Checksum(content));
  return content;
}

Result<> SaveWorkspaceManifest(const pb::WorkspaceManifest& manifest, const std::string& path) {
  const std::string content = SerializeWorkspaceManifest(manifest);
  if (content.size() > kMaxManifestBytes) {
    return MakeError(ErrorCode::kNotSupported, "a list of {} entries is too long for a checkpoint; use --exclude",
                     manifest.entries_size());
  }
  BATON_TRY(const UniqueFd fd, OpenFile(path, O_WRONLY | O_CREAT | O_EXCL, 0600));
  Result<> written = WriteAll(fd.get(), content);
  if (written) written = SyncFd(fd.get(), path);
  if (!written) return written.Fail("{}", path);
  const size_t slash = path.rfind('/');
  return SyncDirectory(slash == std::string::npos ? "." : path.substr(0, slash + 1));
}

}  // namespace baton
