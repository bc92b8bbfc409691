// Workspace: the directories that belong to a job's state (its working directory, --keep directories, a private /tmp),
// saved with every checkpoint and brought back at resume. docs/decisions/0005-workspace.md says why it is as it is.
//
// Saving:      WorkspaceSave::PreCopy (the job runs) -> FinalPass (it stands still) -> Finish (it runs again)
// Restoring:   LoadWorkspaceManifest -> RestoreWorkspace
// On disk:     <objects_dir>/<xx>/<hash>  content in pieces of at most 4 MiB, named by XXH3-128, shared by all
// checkpoints
//              of a job; one manifest per checkpoint (manifest.h), which is valid only together with its objects
//
// Threads: no thread is made here and nothing is global; any thread may call, one at a time per object.
// Errors: kCorrupt for a bad manifest or object, kInvalidArgument for what the user asked wrongly (nested directories,
// a workspace above its limit), kIo and kNotSupported name the file and what to do, kUnavailable if a collection or a
// save is under way on the same objects.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "workspace/manifest.pb.h"

namespace baton {

// One directory of the workspace.
struct WorkspaceRoot {
  std::string name;       // how the manifest calls it: "work", "tmp", "keep-1"; unique
  std::string job_path;   // absolute, as the job sees it; for people
  std::string host_path;  // absolute, where it is on this machine
};

inline constexpr uint64_t kDefaultWorkspaceLimit = uint64_t{100} << 30;

struct WorkspaceOptions {
  std::string objects_dir;  // made if missing
  std::vector<WorkspaceRoot> roots;
  // fnmatch(3) patterns on the path below its root, '*' crosses '/'; one without '/' is also tried on the last
  // component. What is excluded is not saved, and left alone at restore; a directory with all below it.
  std::vector<std::string> excludes;
  // Host paths inside the roots that are not the job's: state directory, store, the keeper's log. Neither saved nor set
  // aside. (objects_dir is skipped anyway.)
  std::vector<std::string> skip_paths;
  uint64_t limit_bytes = 0;  // 0: kDefaultWorkspaceLimit
};

// A file the job has open for writing or mapped shared and writable. A file not in a hint list is judged by stat alone.
struct OpenFileHint {
  uint64_t device = 0;
  uint64_t inode = 0;
  // Stores through a mapping need not move mtime: such files are always compared byte by byte in the freeze.
  bool mapped = false;
  // All its writers have O_APPEND: what was there at the last look is taken as unchanged if it only grew.
  bool append_only = false;
};

struct WorkspaceStats {
  uint64_t files = 0;                       // regular files in the workspace
  uint64_t bytes = 0;                       // their data, holes not counted
  uint64_t before_bytes = 0;                // stored before the freeze
  uint64_t freeze_files = 0;                // looked into in the freeze, because they had changed again
  uint64_t freeze_bytes = 0;                // stored because of that
  std::chrono::nanoseconds freeze_time{0};  // FinalPass
  std::vector<std::string> notes;  // for the user: what is not saved (sockets, devices, other file systems) and why
};

// Counts only: to refuse too large a workspace before the job starts. Same errors as PreCopy's.
Result<WorkspaceStats> CheckWorkspace(const WorkspaceOptions& options);

// One save. Destroying it before Finish leaves nothing but objects that a later collection removes.
class WorkspaceSave {
 public:
  // Copies what differs from `previous` (may be null: everything) while the job runs, in rounds until little is left.
  // `open_files`: as far as known now.
  static Result<std::unique_ptr<WorkspaceSave>> PreCopy(WorkspaceOptions options, const pb::WorkspaceManifest* previous,
                                                        std::span<const OpenFileHint> open_files = {});
  WorkspaceSave(const WorkspaceSave&) = delete;
  WorkspaceSave& operator=(const WorkspaceSave&) = delete;
  ~WorkspaceSave();

  // Takes what changed since; after it nothing in the workspace is looked at again. No sync, no rename: reading, and
  // writing only what memory should not hold. REQUIRES: nobody writes to the workspace meanwhile; called once.
  Result<> FinalPass(std::span<const OpenFileHint> open_files);
  // Makes everything durable and writes the manifest to `manifest_path` (a file that does not exist yet), synced.
  // REQUIRES: FinalPass returned no error; called once.
  Result<WorkspaceStats> Finish(const std::string& manifest_path);
  // As written: the `previous` of the next save. REQUIRES: Finish.
  const pb::WorkspaceManifest& manifest() const;

 private:
  struct State;
  explicit WorkspaceSave(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

struct WorkspaceRestoreOptions {
  std::string objects_dir;
  // Where each root of the manifest goes (by name); made if missing. job_path is not used.
  std::vector<WorkspaceRoot> roots;
  // As in WorkspaceOptions; excludes are those of the manifest.
  std::vector<std::string> skip_paths;
  // Where files go that came after the checkpoint; empty: "<host_path>.set-aside-<n>" beside each root, or, where that
  // cannot be made or is another file system, ".baton-set-aside-<n>" in it (never saved).
  std::string set_aside_dir;
};

struct WorkspaceRestoreReport {
  uint64_t unchanged = 0;      // entries left as they were
  uint64_t files_written = 0;  // with new content
  uint64_t bytes_written = 0;
  uint64_t files_set_aside = 0;             // top-most ones: a directory counts once
  std::vector<std::string> set_aside_dirs;  // folders to name to the user, host paths; only those made
  std::vector<std::string> notes;           // what could not be put back exactly (an owner, an attribute)
  // The manifest with inodes and times as they are now: the `previous` of the next save.
  pb::WorkspaceManifest baseline;
};

// Brings every root to the state of the checkpoint. All content is staged (in ".baton-restore" of each root) and
// checked first: until that is done nothing else is touched, and on kCorrupt or a full disk the workspace is as it was.
// A failure after that is an error that says so; calling again completes it. Never leaves a root through a symbolic
// link. REQUIRES: nobody writes to the workspace meanwhile.
Result<WorkspaceRestoreReport> RestoreWorkspace(const pb::WorkspaceManifest& manifest,
                                                const WorkspaceRestoreOptions& options);

// Reads and checks everything the manifest needs; kCorrupt or kNotFound names the object and the file.
Result<> VerifyWorkspace(const pb::WorkspaceManifest& manifest, const std::string& objects_dir);

// Deletes objects that none of the manifests (paths of all that are still alive) needs, and what interrupted saves
// left. Returns bytes freed. If any manifest cannot be read, nothing is deleted. Safe to interrupt at any point.
Result<uint64_t> CollectObjects(const std::string& objects_dir, const std::vector<std::string>& manifest_paths);

}  // namespace baton
