#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <optional>

#include "base/fault.h"
#include "base/file.h"
#include "workspace/content.h"
#include "workspace/directory.h"
#include "workspace/known_files.h"
#include "workspace/manifest.h"
#include "workspace/objects.h"
#include "workspace/restore_plan.h"
#include "workspace/set_aside.h"
#include "workspace/walk.h"
#include "workspace/workspace.h"
#include "workspace/xattrs.h"

namespace baton {
namespace {

using Type = pb::WorkspaceEntry;

timespec TimeOf(int64_t nanoseconds) {
  constexpr int64_t kSecond = 1'000'000'000;
  timespec time{.tv_sec = nanoseconds / kSecond, .tv_nsec = nanoseconds % kSecond};
  if (time.tv_nsec < 0) {
    --time.tv_sec;
    time.tv_nsec += kSecond;
  }
  return time;
}

// Everything is made in `staging` first and then renamed to its place, so that what can fail for lack of space or
// because of a damaged object fails while the workspace is still as it was.
class Restorer {
 public:
  Restorer(const pb::WorkspaceManifest& manifest, const WorkspaceRestoreOptions& options, ObjectPool pool)
      : manifest_(manifest), options_(options), pool_(std::move(pool)) {}
  Restorer(const Restorer&) = delete;
  Restorer& operator=(const Restorer&) = delete;
  ~Restorer() {
    for (Root& root : roots_) static_cast<void>(RemoveStaging(root));
  }

  Result<> Open();
  Result<> Stage();
  Result<> Apply();
  Result<WorkspaceRestoreReport> Report();

 private:
  struct Root {
    std::string path;
    UniqueFd fd;
    bool staged = false;
    std::optional<UniqueFd> staging = {};
    std::optional<SetAside> set_aside = {};
    // Of the root directory before it got a staging directory.
    uint32_t mode = 0;
    int64_t mtime_ns = 0;
  };

  Root& RootOf(const pb::WorkspaceEntry& entry) { return roots_[entry.root()]; }
  std::string HostPath(const pb::WorkspaceEntry& entry) { return JoinPath(RootOf(entry).path, entry.path()); }
  Result<int> StagingOf(Root& root);
  static Result<> RemoveStaging(Root& root);
  Result<> StageEntry(int index, int dir_fd, const std::string& name);
  Result<> StageFile(const pb::WorkspaceEntry& entry, int staging, const std::string& name);
  Result<> Place(int index);
  Result<> MakeDirectory(const pb::WorkspaceEntry& entry);
  Result<UniqueFd> OpenParent(const pb::WorkspaceEntry& entry);
  Result<> SetMetadata(const pb::WorkspaceEntry& entry, int fd);
  Result<> SetOwner(const pb::WorkspaceEntry& entry, int dir_fd, const char* name);
  Result<> CorrectFile(int index);
  Result<> CorrectDirectory(const pb::WorkspaceEntry& entry);
  Result<> ApplySteps();
  Result<pb::WorkspaceManifest> Baseline() const;

  const pb::WorkspaceManifest& manifest_;
  const WorkspaceRestoreOptions& options_;
  ObjectPool pool_;
  WalkOptions walk_;
  RestorePlan plan_;
  std::vector<Root> roots_;
  uint64_t foreign_owners_ = 0;
  std::string foreign_owner_example_;
  uint64_t without_xattrs_ = 0;
  WorkspaceRestoreReport report_;
};

Result<> Restorer::Open() {
  BATON_CHECKED(CheckRoots(options_.roots, options_.skip_paths));
  walk_.excludes.assign(manifest_.excludes().begin(), manifest_.excludes().end());
  walk_.skip_paths = options_.skip_paths;
  walk_.skip_paths.push_back(options_.objects_dir);
  for (const pb::WorkspaceManifestRoot& wanted : manifest_.roots()) {
    const auto root = std::ranges::find(options_.roots, wanted.name(), &WorkspaceRoot::name);
    if (root == options_.roots.end()) {
      return MakeError(ErrorCode::kInvalidArgument, "no place was given for the workspace directory {} ({})",
                       wanted.name(), wanted.job_path());
    }
    BATON_CHECKED(MakeDirectories(root->host_path, 0755));
    BATON_TRY(UniqueFd fd, OpenFile(root->host_path, O_RDONLY | O_DIRECTORY));
    // Of a restore that was interrupted.
    if (auto removed = RemoveTree(fd.get(), std::string(kStagingName));
        !removed && removed.error().code() != ErrorCode::kNotFound) {
      return removed.Fail("{}", root->host_path);
    }
    BATON_TRY(const NamedStatus named, StatusOf(fd.get(), ""));
    walk_.roots.push_back(*root);
    roots_.push_back(
        {.path = root->host_path, .fd = std::move(fd), .mode = named.status.mode, .mtime_ns = named.status.mtime_ns});
  }
  for (size_t i = 0; i < roots_.size(); ++i) {
    roots_[i].set_aside.emplace(roots_[i].fd.get(), roots_[i].path, walk_.roots[i].name, options_.set_aside_dir);
  }
  BATON_TRY(plan_, PlanRestore(manifest_, walk_));
  return {};
}

Result<int> Restorer::StagingOf(Root& root) {
  if (!root.staging) {
    BATON_CHECKED(MakeWritable(root.fd.get()));
    const std::string name(kStagingName);
    root.staged = true;
    const int failed = mkdirat(root.fd.get(), name.c_str(), 0700);
    if (const int error = errno; failed != 0) return ErrnoError(error, "make {}/{}", root.path, name);
    BATON_TRY(UniqueFd staging, OpenFileAt(root.fd.get(), name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
    root.staging.emplace(std::move(staging));
  }
  return root.staging->get();
}

Result<> Restorer::RemoveStaging(Root& root) {
  if (!root.staged) return {};
  root.staged = false;
  root.staging.reset();
  auto removed = RemoveTree(root.fd.get(), std::string(kStagingName));
  const timespec times[2] = {{.tv_sec = 0, .tv_nsec = UTIME_OMIT}, TimeOf(root.mtime_ns)};
  static_cast<void>(futimens(root.fd.get(), times));
  static_cast<void>(fchmod(root.fd.get(), root.mode));
  return removed;
}

Result<> Restorer::Stage() {
  BATON_CHECKED(FailPoint("workspace.stage"));
  for (int i = 0; i < manifest_.entries_size(); ++i) {
    if (plan_.actions[static_cast<size_t>(i)] != RestoreAction::kMake) continue;
    const pb::WorkspaceEntry& entry = manifest_.entries(i);
    if (entry.type() == Type::DIRECTORY || entry.type() == Type::HARD_LINK) continue;
    BATON_TRY(const int staging, StagingOf(RootOf(entry)));
    if (auto staged = StageEntry(i, staging, std::to_string(i)); !staged) return staged.Fail("{}", HostPath(entry));
    if (entry.type() != Type::FILE) continue;
    ++report_.files_written;
    for (const pb::WorkspacePiece& piece : entry.pieces()) report_.bytes_written += piece.length();
  }
  return {};
}

Result<> Restorer::StageEntry(int index, int staging, const std::string& name) {
  const pb::WorkspaceEntry& entry = manifest_.entries(index);
  if (entry.type() == Type::FILE) return StageFile(entry, staging, name);
  const bool link = entry.type() == Type::SYMLINK;
  const int failed =
      link ? symlinkat(entry.link_target().c_str(), staging, name.c_str()) : mkfifoat(staging, name.c_str(), 0600);
  if (const int error = errno; failed != 0) return ErrnoError(error, "make it");
  BATON_CHECKED(SetOwner(entry, staging, name.c_str()));
  if (!link && fchmodat(staging, name.c_str(), entry.mode(), 0) != 0) return ErrnoError(errno, "set its mode");
  const timespec times[2] = {{.tv_sec = 0, .tv_nsec = UTIME_OMIT}, TimeOf(entry.mtime_ns())};
  // Some file systems keep no times of links; nobody looks at them.
  if (utimensat(staging, name.c_str(), times, AT_SYMLINK_NOFOLLOW) != 0 && !link) {
    return ErrnoError(errno, "set its time");
  }
  return {};
}

Result<> Restorer::StageFile(const pb::WorkspaceEntry& entry, int staging, const std::string& name) {
  BATON_TRY(const UniqueFd fd, OpenFileAt(staging, name, O_RDWR | O_CREAT | O_EXCL, 0600));
  BATON_CHECKED(WritePieces(pool_, PiecesOf(entry), entry.size(), entry.sparse(), fd.get()));
  return SetMetadata(entry, fd.get());
}

// The order matters: a change of owner clears setuid bits, every change moves mtime or may need the mode to be as it
// is.
Result<> Restorer::SetMetadata(const pb::WorkspaceEntry& entry, int fd) {
  if (auto set = WriteXattrs(fd, XattrsOf(entry)); !set) {
    if (set.error().code() != ErrorCode::kNotSupported) return set;
    ++without_xattrs_;
  }
  BATON_CHECKED(SetOwner(entry, fd, ""));
  if (fchmod(fd, entry.mode()) != 0) return ErrnoError(errno, "set its mode");
  const timespec times[2] = {{.tv_sec = 0, .tv_nsec = UTIME_OMIT}, TimeOf(entry.mtime_ns())};
  if (futimens(fd, times) != 0) return ErrnoError(errno, "set its time");
  return {};
}

Result<> Restorer::SetOwner(const pb::WorkspaceEntry& entry, int dir_fd, const char* name) {
  const uint32_t uid = OwnerNow(manifest_, entry);
  const uint32_t gid = GroupNow(manifest_, entry);
  BATON_TRY(const NamedStatus named, StatusOf(dir_fd, name));
  if (named.status.uid == uid && named.status.gid == gid) return {};
  const int failed = fchownat(dir_fd, name, uid, gid, AT_SYMLINK_NOFOLLOW | (*name == '\0' ? AT_EMPTY_PATH : 0));
  const int error = errno;
  if (failed == 0) return {};
  if (error != EPERM && error != EINVAL) return ErrnoError(error, "set its owner");
  // EINVAL: an id that this user namespace does not have.
  if (foreign_owners_++ == 0)
    foreign_owner_example_ = fmt::format("{} ({}:{})", HostPath(entry), entry.uid(), entry.gid());
  return {};
}

Result<> Restorer::Apply() {
  auto applied = ApplySteps();
  if (!applied) return applied.Fail("the workspace is half restored; resume once more to complete it");
  return {};
}

Result<> Restorer::ApplySteps() {
  for (const LaterPath& later : plan_.later) BATON_CHECKED(roots_[later.root].set_aside->Move(later.path));
  for (int i = 0; i < manifest_.entries_size(); ++i) {
    if (plan_.actions[static_cast<size_t>(i)] != RestoreAction::kMake) continue;
    BATON_CHECKED(FailPoint("workspace.apply"));
    if (auto placed = Place(i); !placed) return placed.Fail("{}", HostPath(manifest_.entries(i)));
  }
  for (int i = 0; i < manifest_.entries_size(); ++i) {
    if (plan_.actions[static_cast<size_t>(i)] != RestoreAction::kMetadata) continue;
    if (auto set = CorrectFile(i); !set) return set.Fail("{}", HostPath(manifest_.entries(i)));
  }
  for (Root& root : roots_) BATON_CHECKED(RemoveStaging(root));
  // Children before parents, and last of all: everything above moved the times of directories.
  for (int i = manifest_.entries_size() - 1; i >= 0; --i) {
    const pb::WorkspaceEntry& entry = manifest_.entries(i);
    if (entry.type() != Type::DIRECTORY) continue;
    if (auto set = CorrectDirectory(entry); !set) return set.Fail("{}", HostPath(entry));
  }
  return {};
}

Result<UniqueFd> Restorer::OpenParent(const pb::WorkspaceEntry& entry) {
  const std::string parent(ParentOf(entry.path()));
  BATON_TRY(UniqueFd fd, OpenBeneath(RootOf(entry).fd.get(), parent, O_RDONLY | O_DIRECTORY));
  BATON_CHECKED(MakeWritable(fd.get()));
  return fd;
}

Result<> Restorer::Place(int index) {
  const pb::WorkspaceEntry& entry = manifest_.entries(index);
  if (entry.type() == Type::DIRECTORY) return MakeDirectory(entry);
  BATON_TRY(const UniqueFd parent, OpenParent(entry));
  BATON_TRY(const int staging, StagingOf(RootOf(entry)));
  const std::string staged = std::to_string(index);
  if (entry.type() == Type::HARD_LINK) {
    const pb::WorkspaceEntry& target = manifest_.entries(static_cast<int>(entry.hard_link_of()));
    BATON_TRY(const UniqueFd target_parent, OpenParent(target));
    const std::string target_name(BaseOf(target.path()));
    const int failed = linkat(target_parent.get(), target_name.c_str(), staging, staged.c_str(), 0);
    if (const int error = errno; failed != 0) return ErrnoError(error, "link to {}", HostPath(target));
  }
  const std::string name(BaseOf(entry.path()));
  int failed = renameat(staging, staged.c_str(), parent.get(), name.c_str());
  int error = errno;
  if (failed != 0 && error == EXDEV && entry.type() != Type::HARD_LINK) {
    // The directory is a subvolume of its own (btrfs): once more, in the directory itself.
    const std::string beside(kStagingName);
    BATON_CHECKED(StageEntry(index, parent.get(), beside));
    failed = renameat(parent.get(), beside.c_str(), parent.get(), name.c_str());
    error = errno;
  }
  if (failed != 0) return ErrnoError(error, "put it in its place");
  return {};
}

Result<> Restorer::MakeDirectory(const pb::WorkspaceEntry& entry) {
  BATON_TRY(const UniqueFd parent, OpenParent(entry));
  const int failed = mkdirat(parent.get(), std::string(BaseOf(entry.path())).c_str(), 0700);
  // EEXIST: what was made on the way to something that is skipped.
  if (const int error = errno; failed != 0 && error != EEXIST) return ErrnoError(error, "make the directory");
  return {};
}

Result<> Restorer::CorrectFile(int index) {
  const pb::WorkspaceEntry& entry = manifest_.entries(index);
  if (entry.type() == Type::DIRECTORY) return {};
  if (entry.type() == Type::FILE) {
    BATON_TRY(const UniqueFd fd, OpenBeneath(RootOf(entry).fd.get(), entry.path(), O_RDONLY | O_NONBLOCK | O_NOCTTY));
    return SetMetadata(entry, fd.get());
  }
  BATON_TRY(const UniqueFd parent, OpenParent(entry));
  const std::string name(BaseOf(entry.path()));
  BATON_CHECKED(SetOwner(entry, parent.get(), name.c_str()));
  if (fchmodat(parent.get(), name.c_str(), entry.mode(), 0) != 0) return ErrnoError(errno, "set its mode");
  const timespec times[2] = {{.tv_sec = 0, .tv_nsec = UTIME_OMIT}, TimeOf(entry.mtime_ns())};
  if (utimensat(parent.get(), name.c_str(), times, AT_SYMLINK_NOFOLLOW) != 0) return ErrnoError(errno, "set its time");
  return {};
}

Result<> Restorer::CorrectDirectory(const pb::WorkspaceEntry& entry) {
  BATON_TRY(const UniqueFd fd, OpenBeneath(RootOf(entry).fd.get(), entry.path(), O_RDONLY | O_DIRECTORY));
  BATON_TRY(const NamedStatus named, StatusOf(fd.get(), ""));
  const FileStatus& now = named.status;
  const bool same = now.key() == FileKey{entry.device(), entry.inode()} && now.ctime_ns == entry.ctime_ns();
  return same ? Result<>() : SetMetadata(entry, fd.get());
}

Result<pb::WorkspaceManifest> Restorer::Baseline() const {
  BATON_TRY(const TreeListing listing, WalkTree(walk_));
  std::map<std::pair<uint32_t, std::string_view>, const Node*> nodes;
  for (const Node& node : listing.nodes) nodes.emplace(std::pair(node.root, std::string_view(node.path)), &node);
  pb::WorkspaceManifest baseline = manifest_;
  baseline.set_saver_uid(geteuid());
  baseline.set_saver_gid(getegid());
  for (pb::WorkspaceEntry& entry : *baseline.mutable_entries()) {
    const auto found = nodes.find({entry.root(), entry.path()});
    entry.set_inode(0);
    if (found == nodes.end() || entry.type() == Type::HARD_LINK) continue;
    const Node& node = *found->second;
    entry.set_device(node.status.device);
    entry.set_inode(node.status.inode);
    entry.set_ctime_ns(node.status.ctime_ns);
    entry.set_mtime_ns(node.status.mtime_ns);
    entry.set_uid(node.status.uid);
    entry.set_gid(node.status.gid);
    entry.set_unsettled(node.unsettled);
  }
  return baseline;
}

Result<WorkspaceRestoreReport> Restorer::Report() {
  BATON_TRY(report_.baseline, Baseline());
  report_.unchanged = static_cast<uint64_t>(std::ranges::count(plan_.actions, RestoreAction::kKeep));
  for (const Root& root : roots_) {
    report_.files_set_aside += root.set_aside->moved();
    if (root.set_aside->moved() > 0) report_.set_aside_dirs.push_back(root.set_aside->folder());
  }
  if (foreign_owners_ > 0) {
    report_.notes.push_back(
        fmt::format("{} files belong to you now and not to the user they were saved with, for example {}",
                    foreign_owners_, foreign_owner_example_));
  }
  if (without_xattrs_ > 0) {
    report_.notes.push_back(
        fmt::format("extended attributes of {} files are lost: this file system has none", without_xattrs_));
  }
  return std::move(report_);
}

}  // namespace

Result<WorkspaceRestoreReport> RestoreWorkspace(const pb::WorkspaceManifest& manifest,
                                                const WorkspaceRestoreOptions& options) {
  BATON_CHECKED(ValidateWorkspaceManifest(manifest));
  BATON_TRY(ObjectPool pool, ObjectPool::OpenForReading(options.objects_dir));
  Restorer restorer(manifest, options, std::move(pool));
  for (auto step : {&Restorer::Open, &Restorer::Stage, &Restorer::Apply}) {
    if (auto done = (restorer.*step)(); !done) return done.Fail("restore the workspace");
  }
  return restorer.Report();
}

}  // namespace baton
