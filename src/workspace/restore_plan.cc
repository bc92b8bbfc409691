#include "workspace/restore_plan.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <map>
#include <set>
#include <string_view>
#include <unordered_map>

#include "workspace/content.h"
#include "workspace/directory.h"
#include "workspace/known_files.h"
#include "workspace/xattrs.h"

namespace baton {
namespace {

using Type = pb::WorkspaceEntry;

class Planner {
 public:
  Planner(const pb::WorkspaceManifest& manifest, const WalkOptions& walk, const TreeListing& listing)
      : manifest_(manifest), walk_(walk), listing_(listing), by_path_(walk.roots.size()), wanted_(walk.roots.size()) {
    for (const Node& node : listing.nodes) by_path_[node.root].emplace(node.path, &node);
    for (int i = 0; i < manifest.entries_size(); ++i) {
      const pb::WorkspaceEntry& entry = manifest.entries(i);
      wanted_[entry.root()].emplace(entry.path(), i);
    }
    for (const Node& node : listing.nodes) {
      if (node.status.file_type == S_IFREG && node.status.links > 1) NoteLink(node);
    }
  }

  Result<RestorePlan> Run() {
    for (int i = 0; i < manifest_.entries_size(); ++i) {
      auto action = Decide(i);
      if (!action) return action.Fail("{}", HostPath(manifest_.entries(i).root(), manifest_.entries(i).path()));
      plan_.actions.push_back(*action);
    }
    FindLater();
    return std::move(plan_);
  }

 private:
  std::string HostPath(uint32_t root, std::string_view path) const {
    return JoinPath(walk_.roots[root].host_path, path);
  }

  const Node* NodeAt(uint32_t root, std::string_view path) const {
    const auto found = by_path_[root].find(path);
    return found == by_path_[root].end() ? nullptr : found->second;
  }

  // The FILE entry whose content the path has by the manifest; -1 if none.
  int FileEntryOf(const Node& node) const {
    const auto found = wanted_[node.root].find(node.path);
    if (found == wanted_[node.root].end()) return -1;
    const pb::WorkspaceEntry& entry = manifest_.entries(found->second);
    if (entry.type() == Type::HARD_LINK) return static_cast<int>(entry.hard_link_of());
    return entry.type() == Type::FILE ? found->second : -1;
  }

  // A file with several names may stay only if all of them are names of the same file in the manifest: otherwise
  // writing to one later would change the other.
  void NoteLink(const Node& node) {
    const int owner = FileEntryOf(node);
    const auto [first, is_first] = link_owner_.emplace(node.status.key(), owner);
    if (!is_first && first->second != owner) wrongly_linked_.insert(node.status.key());
  }

  Result<RestoreAction> Decide(int index) {
    const pb::WorkspaceEntry& entry = manifest_.entries(index);
    const Node* node = NodeAt(entry.root(), entry.path());
    if (node == nullptr) return RestoreAction::kMake;
    switch (entry.type()) {
      case Type::FILE:
        return DecideFile(entry, *node);
      case Type::HARD_LINK:
        return DecideLink(entry, *node);
      case Type::SYMLINK:
        return DecideSymlink(entry, *node);
      default:
        return TypeOf(node->status) == entry.type() ? Metadata(entry, *node) : RestoreAction::kMake;
    }
  }

  Result<RestoreAction> DecideFile(const pb::WorkspaceEntry& entry, const Node& node) const {
    if (node.status.file_type != S_IFREG || node.status.size != entry.size()) return RestoreAction::kMake;
    if (wrongly_linked_.contains(node.status.key())) return RestoreAction::kMake;
    const bool same = node.status.key() == FileKey{entry.device(), entry.inode()} &&
                      node.status.mtime_ns == entry.mtime_ns() && node.status.ctime_ns == entry.ctime_ns();
    if (same && !entry.unsettled()) return RestoreAction::kKeep;
    const auto fd = OpenBeneath(listing_.root_fds[node.root].get(), node.path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
    if (!fd) return RestoreAction::kMake;
    const bool sparse = node.status.allocated < node.status.size;
    const auto matches = ContentMatches(fd->get(), entry.size(), sparse, PiecesOf(entry));
    if (!matches || !*matches) return RestoreAction::kMake;
    return same ? RestoreAction::kKeep : Metadata(entry, node);
  }

  Result<RestoreAction> DecideLink(const pb::WorkspaceEntry& entry, const Node& node) const {
    const pb::WorkspaceEntry& target = manifest_.entries(static_cast<int>(entry.hard_link_of()));
    const Node* target_node = NodeAt(target.root(), target.path());
    const bool target_stays = plan_.actions[entry.hard_link_of()] != RestoreAction::kMake;
    const bool linked = target_node != nullptr && target_node->status.key() == node.status.key();
    return target_stays && linked ? RestoreAction::kKeep : RestoreAction::kMake;
  }

  Result<RestoreAction> DecideSymlink(const pb::WorkspaceEntry& entry, const Node& node) const {
    if (node.status.file_type != S_IFLNK) return RestoreAction::kMake;
    const int root_fd = listing_.root_fds[node.root].get();
    BATON_TRY(const UniqueFd parent, OpenBeneath(root_fd, std::string(ParentOf(node.path)), O_PATH | O_DIRECTORY));
    BATON_TRY(const std::string target, ReadLinkAt(parent.get(), std::string(BaseOf(node.path))));
    if (target != entry.link_target()) return RestoreAction::kMake;
    // A link is made anew sooner than corrected.
    return Metadata(entry, node) == RestoreAction::kKeep ? RestoreAction::kKeep : RestoreAction::kMake;
  }

  RestoreAction Metadata(const pb::WorkspaceEntry& entry, const Node& node) const {
    const FileStatus& status = node.status;
    const bool same = status.mtime_ns == entry.mtime_ns() && status.uid == OwnerNow(manifest_, entry) &&
                      status.gid == GroupNow(manifest_, entry) &&
                      (entry.type() == Type::SYMLINK || status.mode == entry.mode()) && SameXattrs(entry, node);
    return same ? RestoreAction::kKeep : RestoreAction::kMetadata;
  }

  bool SameXattrs(const pb::WorkspaceEntry& entry, const Node& node) const {
    if (entry.type() != Type::FILE && entry.type() != Type::DIRECTORY) return true;
    const auto fd = OpenBeneath(listing_.root_fds[node.root].get(), node.path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
    if (!fd) return false;
    const auto xattrs = ReadXattrs(fd->get());
    return xattrs && *xattrs == XattrsOf(entry);
  }

  // Paths that must stay where they are because something to be skipped lies in them.
  std::set<std::pair<uint32_t, std::string>> Anchored() const {
    std::set<std::pair<uint32_t, std::string>> anchored;
    for (uint32_t root = 0; root < walk_.roots.size(); ++root) {
      const std::string base = Canonical(walk_.roots[root].host_path) + "/";
      for (const std::string& skip : walk_.skip_paths) {
        const std::string path = Canonical(skip);
        if (!path.starts_with(base)) continue;
        std::string_view below = std::string_view(path).substr(base.size());
        for (; !below.empty(); below = ParentOf(below)) anchored.emplace(root, below);
      }
    }
    return anchored;
  }

  static std::string Canonical(const std::string& path) {
    std::error_code failed;
    const auto canonical = std::filesystem::weakly_canonical(path, failed);
    return failed ? path : canonical.string();
  }

  void FindLater() {
    const auto anchored = Anchored();
    // Directories that are moved away whole; what is in them goes along.
    std::set<std::pair<uint32_t, std::string>> moved;
    for (const Node& node : listing_.nodes) {
      if (node.path.empty()) continue;
      if (moved.contains({node.root, std::string(ParentOf(node.path))})) {
        moved.emplace(node.root, node.path);
        continue;
      }
      if (IsWanted(node) || anchored.contains({node.root, node.path})) continue;
      plan_.later.push_back({.root = node.root, .path = node.path});
      moved.emplace(node.root, node.path);
    }
  }

  bool IsWanted(const Node& node) const {
    const auto found = wanted_[node.root].find(node.path);
    if (found == wanted_[node.root].end()) return false;
    const auto type = manifest_.entries(found->second).type();
    return TypeOf(node.status) == (type == Type::HARD_LINK ? Type::FILE : type);
  }

  const pb::WorkspaceManifest& manifest_;
  const WalkOptions& walk_;
  const TreeListing& listing_;
  // By root. The views point into listing and manifest.
  std::vector<std::unordered_map<std::string_view, const Node*>> by_path_;
  std::vector<std::unordered_map<std::string_view, int>> wanted_;
  std::map<FileKey, int> link_owner_;
  std::set<FileKey> wrongly_linked_;
  RestorePlan plan_;
};

}  // namespace

Result<RestorePlan> PlanRestore(const pb::WorkspaceManifest& manifest, const WalkOptions& walk) {
  BATON_TRY(const TreeListing listing, WalkTree(walk));
  return Planner(manifest, walk, listing).Run();
}

uint32_t OwnerNow(const pb::WorkspaceManifest& manifest, const pb::WorkspaceEntry& entry) {
  return entry.uid() == manifest.saver_uid() ? geteuid() : entry.uid();
}

uint32_t GroupNow(const pb::WorkspaceManifest& manifest, const pb::WorkspaceEntry& entry) {
  return entry.gid() == manifest.saver_gid() ? getegid() : entry.gid();
}

}  // namespace baton
