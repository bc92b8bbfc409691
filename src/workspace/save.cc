#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <set>

#include "base/check.h"
#include "base/fault.h"
#include "base/file.h"
#include "workspace/directory.h"
#include "workspace/known_files.h"
#include "workspace/manifest.h"
#include "workspace/objects.h"
#include "workspace/summary.h"
#include "workspace/walk.h"
#include "workspace/workspace.h"
#include "workspace/xattrs.h"

namespace baton {
namespace {

// Another round before the freeze pays while the last one still found this much, but a job that writes all the time
// must not keep it from ever coming.
constexpr uint64_t kRoundWorthBytes = uint64_t{16} << 20;
constexpr uint32_t kMaxRounds = 4;
// What the freeze may put into memory instead of the store, whose speed is not known.
constexpr uint64_t kHoldBytes = uint64_t{64} << 20;
// From here on a clone (which makes the file system write the file's dirty pages first) beats reading it in the freeze.
constexpr uint64_t kCloneBytes = uint64_t{64} << 20;

}  // namespace

struct WorkspaceSave::State {
  State(WorkspaceOptions all_options, ObjectPool opened)
      : options(std::move(all_options)), walk(WalkOptionsOf(options)), pool(std::move(opened)) {}

  Result<> WalkAndLook(std::span<const OpenFileHint> hints);
  void UseHints(std::span<const OpenFileHint> hints);
  Result<> Look(const Node& node);
  Result<> LookIntoFile(const Node& node, int fd, KnownFile& fresh, const KnownFile* known);
  bool Trusted(const Node& node, int fd, const KnownFile& known) const;
  Result<bool> Clone(const Node& node, int fd);
  Result<> ReadClones();
  Result<> BuildManifest();
  Result<> AddFile(const Node& node, std::map<std::pair<uint32_t, FileKey>, uint32_t>& linked);
  std::string HostPath(const Node& node) const { return JoinPath(options.roots[node.root].host_path, node.path); }
  Error Disturbed(const Node& node) const;

  struct Cloned {
    FileKey key;
    UniqueFd fd;
    std::string path;
  };

  WorkspaceOptions options;
  WalkOptions walk;
  ObjectPool pool;
  PieceStore store{pool};
  KnownFiles known_files;
  TreeListing listing;
  uint32_t walk_number = 0;
  bool frozen = false;
  std::set<uint64_t> mapped_inodes;
  std::set<FileKey> append_only;
  std::vector<Cloned> clones;
  std::set<uint64_t> devices_without_clone;
  WorkspaceStats stats;
  pb::WorkspaceManifest manifest;
};

WorkspaceSave::WorkspaceSave(std::unique_ptr<State> state) : state_(std::move(state)) {}
WorkspaceSave::~WorkspaceSave() = default;

const pb::WorkspaceManifest& WorkspaceSave::manifest() const { return state_->manifest; }

Result<std::unique_ptr<WorkspaceSave>> WorkspaceSave::PreCopy(WorkspaceOptions options,
                                                              const pb::WorkspaceManifest* previous,
                                                              std::span<const OpenFileHint> open_files) {
  BATON_CHECKED(CheckRoots(options.roots, options.skip_paths));
  BATON_TRY(ObjectPool pool, ObjectPool::OpenForWriting(options.objects_dir));
  auto state = std::make_unique<State>(std::move(options), std::move(pool));
  if (previous != nullptr) state->known_files = KnownFiles(*previous);
  while (state->walk_number < kMaxRounds) {
    const uint64_t before = state->store.new_bytes();
    BATON_CHECKED(state->WalkAndLook(open_files));
    if (state->store.new_bytes() - before < kRoundWorthBytes) break;
  }
  state->stats.before_bytes = state->store.new_bytes();
  return std::unique_ptr<WorkspaceSave>(new WorkspaceSave(std::move(state)));
}

Result<> WorkspaceSave::FinalPass(std::span<const OpenFileHint> open_files) {
  BATON_CHECK(!state_->frozen);
  const auto begin = std::chrono::steady_clock::now();
  BATON_CHECKED(FailPoint("workspace.final_pass"));
  state_->frozen = true;
  state_->store.HoldUpTo(kHoldBytes);
  BATON_CHECKED(state_->WalkAndLook(open_files));
  state_->stats.freeze_time = std::chrono::steady_clock::now() - begin;
  return {};
}

Result<WorkspaceStats> WorkspaceSave::Finish(const std::string& manifest_path) {
  BATON_CHECK(state_->frozen);
  BATON_CHECKED(state_->ReadClones());
  BATON_CHECKED(state_->store.Flush());
  state_->stats.freeze_bytes = state_->store.new_bytes() - state_->stats.before_bytes;
  BATON_CHECKED(state_->BuildManifest());
  BATON_CHECKED(state_->pool.Commit());
  BATON_CHECKED(FailPoint("workspace.manifest"));
  BATON_CHECKED(SaveWorkspaceManifest(state_->manifest, manifest_path));
  return state_->stats;
}

Result<> WorkspaceSave::State::WalkAndLook(std::span<const OpenFileHint> hints) {
  UseHints(hints);
  ++walk_number;
  BATON_TRY(listing, WalkTree(walk));
  if (!frozen) {
    // Before anything is copied. What a job writes beyond the limit while it is saved is found the next time.
    BATON_TRY(stats, Summarize(listing, options));
  }
  for (const Node& node : listing.nodes) {
    if (auto looked = Look(node); !looked) return looked.Fail("workspace: {}", HostPath(node));
  }
  return {};
}

void WorkspaceSave::State::UseHints(std::span<const OpenFileHint> hints) {
  append_only.clear();
  for (const OpenFileHint& hint : hints) {
    // By inode alone: /proc/PID/maps has another device number than stat(2) on some file systems (btrfs). Comparing a
    // file too many costs little. A file mapped at the first look may be written and unmapped before the freeze: once
    // is for all.
    if (hint.mapped) mapped_inodes.insert(hint.inode);
    if (hint.append_only && !hint.mapped) append_only.insert({hint.device, hint.inode});
  }
}

Error WorkspaceSave::State::Disturbed(const Node& node) const {
  return MakeError(ErrorCode::kUnavailable, "{} was changed by another program while the job stood still",
                   HostPath(node));
}

Result<> WorkspaceSave::State::Look(const Node& node) {
  const auto type = TypeOf(node.status);
  const KnownFile* known = known_files.Find(node.status.key());
  const bool mapped = mapped_inodes.contains(node.status.inode);
  if (known != nullptr && known->status.SameAs(node.status)) {
    if (known->read_in_walk == walk_number || (!known->unsettled && !mapped)) return {};
  }
  KnownFile fresh{.status = node.status, .unsettled = node.unsettled || mapped, .read_in_walk = walk_number};
  const int root_fd = listing.root_fds[node.root].get();
  if (type == pb::WorkspaceEntry::DIRECTORY || type == pb::WorkspaceEntry::FILE) {
    constexpr int kFlags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;
    auto fd = OpenBeneath(root_fd, node.path, kFlags | O_NOATIME);
    if (!fd && fd.error().saved_errno() == EPERM) fd = OpenBeneath(root_fd, node.path, kFlags);
    if (!fd && fd.error().saved_errno() == EACCES) return fd.Fail("cannot be read (--exclude leaves it out)");
    if (!fd) return frozen ? Result<>(Disturbed(node)) : Result<>();
    BATON_TRY(fresh.xattrs, ReadXattrs(fd->get()));
    if (type == pb::WorkspaceEntry::FILE) BATON_CHECKED(LookIntoFile(node, fd->get(), fresh, known));
  } else if (type == pb::WorkspaceEntry::SYMLINK) {
    auto parent = OpenBeneath(root_fd, std::string(ParentOf(node.path)), O_PATH | O_DIRECTORY);
    if (!parent) return frozen ? Result<>(Disturbed(node)) : Result<>();
    auto target = ReadLinkAt(parent->get(), std::string(BaseOf(node.path)));
    if (!target) return frozen ? Result<>(Disturbed(node)) : Result<>();
    fresh.link_target = std::move(*target);
  }
  known_files.Set(node.status.key(), std::move(fresh));
  return {};
}

Result<> WorkspaceSave::State::LookIntoFile(const Node& node, int fd, KnownFile& fresh, const KnownFile* known) {
  fresh.sparse = node.status.allocated < node.status.size;
  ReadRequest request{.fd = fd, .size = node.status.size, .sparse = fresh.sparse};
  if (known != nullptr) request.known = known->pieces;
  if (known != nullptr && Trusted(node, fd, *known)) request.trusted_bytes = known->status.size;
  if (frozen) ++stats.freeze_files;
  if (frozen && request.trusted_bytes == 0) {
    BATON_TRY(const bool cloned, Clone(node, fd));
    if (cloned) {
      if (known != nullptr) fresh.pieces = known->pieces;  // for comparison, until the clone is read
      return {};
    }
  }
  BATON_TRY(ReadContent content, ReadPieces(request, store));
  BATON_TRY(const NamedStatus after, StatusOf(fd, ""));
  const bool changed = content.cut_short || !after.status.SameAs(node.status);
  if (frozen && content.cut_short) return Disturbed(node);
  fresh.pieces = std::move(content.pieces);
  fresh.unsettled = fresh.unsettled || changed;
  return {};
}

// Whether what was known of an append-only file is its beginning still. Its first and last piece are compared: a file
// that was emptied and written anew also grew.
bool WorkspaceSave::State::Trusted(const Node& node, int fd, const KnownFile& known) const {
  if (!append_only.contains(node.status.key()) || known.pieces.empty() || known.sparse) return false;
  if (node.status.size < known.status.size || node.status.allocated < node.status.size) return false;
  const auto same = [&](const Piece& piece) {
    std::vector<std::byte> bytes(piece.length);
    return PreadExactly(fd, bytes, piece.offset) && HashContent(bytes) == piece.hash;
  };
  return same(known.pieces.front()) && same(known.pieces.back());
}

Result<bool> WorkspaceSave::State::Clone(const Node& node, int fd) {
  if (node.status.size < kCloneBytes || devices_without_clone.contains(node.status.device)) return false;
  BATON_TRY(UniqueFd scratch, pool.MakeScratchFile());
  if (ioctl(scratch.get(), FICLONE, fd) != 0) {
    devices_without_clone.insert(node.status.device);
    return false;
  }
  clones.push_back({.key = node.status.key(), .fd = std::move(scratch), .path = HostPath(node)});
  return true;
}

Result<> WorkspaceSave::State::ReadClones() {
  for (const Cloned& clone : clones) {
    KnownFile& file = *known_files.Find(clone.key);
    const std::vector<Piece> known = std::move(file.pieces);
    auto content =
        ReadPieces({.fd = clone.fd.get(), .size = file.status.size, .sparse = file.sparse, .known = known}, store);
    if (!content) return content.Fail("workspace: {}", clone.path);
    if (content->cut_short) return MakeError(ErrorCode::kInternal, "the clone of {} is too short", clone.path);
    file.pieces = std::move(content->pieces);
  }
  clones.clear();
  return {};
}

Result<> WorkspaceSave::State::BuildManifest() {
  manifest.set_version(1);
  manifest.set_saver_uid(geteuid());
  manifest.set_saver_gid(getegid());
  for (const WorkspaceRoot& root : options.roots) {
    pb::WorkspaceManifestRoot& saved = *manifest.add_roots();
    saved.set_name(root.name);
    saved.set_job_path(root.job_path);
  }
  manifest.mutable_excludes()->Assign(options.excludes.begin(), options.excludes.end());
  std::map<std::pair<uint32_t, FileKey>, uint32_t> linked;
  for (const Node& node : listing.nodes) {
    const auto type = TypeOf(node.status);
    if (type == pb::WorkspaceEntry::TYPE_UNSPECIFIED) continue;
    BATON_CHECKED(AddFile(node, linked));
  }
  // A name that is valid here and not there would be a checkpoint that cannot be restored: say so now.
  if (auto valid = ValidateWorkspaceManifest(manifest); !valid) return valid.Fail("the workspace cannot be saved");
  return {};
}

Result<> WorkspaceSave::State::AddFile(const Node& node, std::map<std::pair<uint32_t, FileKey>, uint32_t>& linked) {
  const auto index = static_cast<uint32_t>(manifest.entries_size());
  if (node.status.file_type == S_IFREG && node.status.links > 1) {
    const auto [first, is_first] = linked.emplace(std::pair(node.root, node.status.key()), index);
    if (!is_first) {
      pb::WorkspaceEntry& entry = *manifest.add_entries();
      entry.set_root(node.root);
      entry.set_path(node.path);
      entry.set_type(pb::WorkspaceEntry::HARD_LINK);
      entry.set_hard_link_of(first->second);
      return {};
    }
  }
  const KnownFile* known = known_files.Find(node.status.key());
  if (known == nullptr) return MakeError(ErrorCode::kInternal, "{} was not looked at", HostPath(node));
  *manifest.add_entries() = EntryOf(node, *known);
  return {};
}

}  // namespace baton
