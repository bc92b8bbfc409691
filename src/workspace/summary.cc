#include "workspace/summary.h"

#include <sys/stat.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>

#include "base/units.h"
#include "workspace/directory.h"
#include "workspace/known_files.h"

namespace baton {
namespace {

constexpr size_t kLargestNamed = 3;
constexpr size_t kPathsNamed = 3;

// Bytes below each entry of the roots: the directories a user would think of.
class Sizes {
 public:
  explicit Sizes(const WorkspaceOptions& options) : options_(options) {}

  void Add(const Node& node, uint64_t bytes) {
    const std::string_view path = node.path;
    by_top_[JoinPath(options_.roots[node.root].host_path, path.substr(0, path.find('/')))] += bytes;
  }

  std::string Largest() const {
    std::vector<std::pair<uint64_t, std::string>> sorted;
    sorted.reserve(by_top_.size());
    for (const auto& [path, bytes] : by_top_) sorted.emplace_back(bytes, path);
    std::ranges::sort(sorted, std::greater{});
    sorted.resize(std::min(sorted.size(), kLargestNamed));
    std::string text;
    for (const auto& [bytes, path] : sorted) {
      text += fmt::format("{}{} ({})", text.empty() ? "" : ", ", path, FormatBytes(bytes));
    }
    return text;
  }

 private:
  const WorkspaceOptions& options_;
  std::map<std::string, uint64_t> by_top_;
};

Error TooLarge(uint64_t bytes, uint64_t limit, const std::string& largest) {
  return MakeError(
      ErrorCode::kInvalidArgument,
      "the workspace holds {}, more than its limit of {}; largest: {}. Leave files out with --exclude, choose "
      "a smaller directory with --workdir, or raise the limit with --workspace-limit",
      FormatBytes(bytes), FormatBytes(limit), largest);
}

void AddNote(std::vector<std::string>& notes, std::string_view what, const std::vector<std::string>& paths) {
  if (paths.empty()) return;
  std::string named;
  for (size_t i = 0; i < std::min(paths.size(), kPathsNamed); ++i) named += (i == 0 ? "" : ", ") + paths[i];
  if (paths.size() > kPathsNamed) named += fmt::format(" and {} more", paths.size() - kPathsNamed);
  notes.push_back(fmt::format("not saved: {}: {}", what, named));
}

}  // namespace

WalkOptions WalkOptionsOf(const WorkspaceOptions& options) {
  WalkOptions walk{.roots = options.roots, .excludes = options.excludes, .skip_paths = options.skip_paths};
  if (!options.objects_dir.empty()) walk.skip_paths.push_back(options.objects_dir);
  return walk;
}

Result<WorkspaceStats> Summarize(const TreeListing& listing, const WorkspaceOptions& options) {
  WorkspaceStats stats;
  Sizes sizes(options);
  std::set<FileKey> linked;
  std::vector<std::string> sockets;
  std::vector<std::string> devices;
  for (const Node& node : listing.nodes) {
    const std::string host_path = JoinPath(options.roots[node.root].host_path, node.path);
    if (node.status.file_type == S_IFSOCK) sockets.push_back(host_path);
    if (node.status.file_type == S_IFCHR || node.status.file_type == S_IFBLK) devices.push_back(host_path);
    if (node.status.file_type != S_IFREG) continue;
    if (node.status.links > 1 && !linked.insert(node.status.key()).second) continue;
    const uint64_t bytes = std::min(node.status.size, node.status.allocated);
    ++stats.files;
    stats.bytes += bytes;
    sizes.Add(node, bytes);
  }
  const uint64_t limit = options.limit_bytes == 0 ? kDefaultWorkspaceLimit : options.limit_bytes;
  if (stats.bytes > limit) return TooLarge(stats.bytes, limit, sizes.Largest());
  AddNote(stats.notes, "sockets (their programs make them anew)", sockets);
  AddNote(stats.notes, "device files", devices);
  AddNote(stats.notes, "other file systems mounted inside the workspace", listing.other_mounts);
  return stats;
}

Result<WorkspaceStats> CheckWorkspace(const WorkspaceOptions& options) {
  BATON_CHECKED(CheckRoots(options.roots, options.skip_paths));
  BATON_TRY(const TreeListing listing, WalkTree(WalkOptionsOf(options)));
  return Summarize(listing, options);
}

}  // namespace baton
