// What of the file system belongs to a job, from its description: the directories of its workspace and where they are
// on this machine, what is not the job's in them, and what its capsule shows where.
//
// Thread-safety: free functions.
#pragma once

#include <string>
#include <vector>

#include "capsule/capsule_options.h"
#include "keeper/paths.h"
#include "keeper/run_record.pb.h"
#include "workspace/workspace.h"

namespace baton {

// Whether the job has a /dev/shm of its own; then the record says where that is.
bool HasPrivateSharedMemory(const pb::JobSpec& spec);

// The roots of the workspace: "work", "keep-1" ..., "tmp" and "shm" for the private /tmp and /dev/shm. None with --fs
// host.
std::vector<WorkspaceRoot> WorkspaceRoots(const StatePaths& paths, const pb::RunRecord& record);

// For saving it into `objects_dir`. Baton's own files are not the job's.
WorkspaceOptions SaveOptions(const StatePaths& paths, const pb::RunRecord& record, const std::string& objects_dir);
// Host paths that are Baton's own: never saved, never set aside.
std::vector<std::string> OwnPaths(const StatePaths& paths, const pb::RunRecord& record);

// Whether it is that directory, or lies in it.
bool IsBelow(const std::string& path, const std::string& directory);
// Whether the job's /tmp is its own; if not, it is the machine's.
bool HasPrivateTmp(const pb::JobSpec& spec);

// Private /tmp, /dev/shm and binds, so that the job sees every directory where it always was.
void ShowWorkspace(const StatePaths& paths, const pb::RunRecord& record, CapsuleOptions* options);

// Where a directory that the job knows as `job_path` is on this machine.
std::string HostPath(const pb::RunRecord& record, const std::string& job_path);

// Those of `paths` (as the job sees them) that no directory of the workspace holds, each once and sorted. What lies in
// /proc and /sys is no file that could be kept.
std::vector<std::string> OutsideWorkspace(const pb::JobSpec& spec, const std::vector<std::string>& paths);

}  // namespace baton
