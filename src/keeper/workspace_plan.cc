#include "keeper/workspace_plan.h"

#include <algorithm>
#include <set>

namespace baton {
namespace {

constexpr const char* kTmp = "/tmp";
constexpr const char* kSharedMemory = "/dev/shm";

std::vector<std::string> JobDirectories(const pb::JobSpec& spec) {
  std::vector<std::string> directories{spec.workdir()};
  directories.insert(directories.end(), spec.keep().begin(), spec.keep().end());
  return directories;
}

// A job whose workspace holds such a directory itself has the real one.
bool HasPrivate(const pb::JobSpec& spec, const char* path) {
  if (spec.files() != pb::JobSpec::WORK) return false;
  return std::ranges::none_of(JobDirectories(spec),
                              [path](const std::string& directory) { return IsBelow(path, directory); });
}

}  // namespace

bool IsBelow(const std::string& path, const std::string& directory) {
  return path == directory || directory == "/" || path.starts_with(directory + "/");
}

bool HasPrivateTmp(const pb::JobSpec& spec) { return HasPrivate(spec, kTmp); }

bool HasPrivateSharedMemory(const pb::JobSpec& spec) { return HasPrivate(spec, kSharedMemory); }

std::string HostPath(const pb::RunRecord& record, const std::string& job_path) {
  const auto placed = std::ranges::find(record.placed(), job_path, &pb::PlacedDirectory::job_path);
  return placed == record.placed().end() ? job_path : placed->host_path();
}

std::vector<WorkspaceRoot> WorkspaceRoots(const StatePaths& paths, const pb::RunRecord& record) {
  const pb::JobSpec& spec = record.spec();
  std::vector<WorkspaceRoot> roots;
  if (spec.files() != pb::JobSpec::WORK) return roots;
  size_t number = 0;
  for (const std::string& directory : JobDirectories(spec)) {
    std::string name = number == 0 ? "work" : fmt::format("keep-{}", number);
    roots.push_back({.name = std::move(name), .job_path = directory, .host_path = HostPath(record, directory)});
    ++number;
  }
  if (HasPrivateTmp(spec)) {
    roots.push_back({.name = "tmp", .job_path = kTmp, .host_path = paths.tmp_dir(spec.name())});
  }
  if (!record.shared_memory_dir().empty()) {
    roots.push_back({.name = "shm", .job_path = kSharedMemory, .host_path = record.shared_memory_dir()});
  }
  return roots;
}

std::vector<std::string> OwnPaths(const StatePaths& paths, const pb::RunRecord& record) {
  std::vector<std::string> own{paths.state_dir(), record.store_dir(), paths.socket_dir(), record.output_path()};
  if (!HasPrivateTmp(record.spec())) own.push_back(record.spec().port());
  // A path that holds a root is no part of it: the private /tmp is in the state directory.
  const auto roots = WorkspaceRoots(paths, record);
  std::erase_if(own, [&](const std::string& path) {
    return path.empty() || std::ranges::none_of(roots, [&](const WorkspaceRoot& root) {
             return path != root.host_path && IsBelow(path, root.host_path);
           });
  });
  return own;
}

WorkspaceOptions SaveOptions(const StatePaths& paths, const pb::RunRecord& record, const std::string& objects_dir) {
  return {.objects_dir = objects_dir,
          .roots = WorkspaceRoots(paths, record),
          .excludes = {record.spec().exclude().begin(), record.spec().exclude().end()},
          .skip_paths = OwnPaths(paths, record),
          .limit_bytes = record.spec().workspace_limit_bytes()};
}

std::vector<std::string> OutsideWorkspace(const pb::JobSpec& spec, const std::vector<std::string>& paths) {
  std::vector<std::string> kept = JobDirectories(spec);
  if (HasPrivateTmp(spec)) kept.emplace_back(kTmp);
  if (HasPrivateSharedMemory(spec)) kept.emplace_back(kSharedMemory);
  kept.insert(kept.end(), {"/proc", "/sys"});
  if (!spec.port().empty()) kept.push_back(spec.port());
  std::set<std::string> outside;
  for (const std::string& path : paths) {
    if (std::ranges::none_of(kept, [&](const std::string& directory) { return IsBelow(path, directory); })) {
      outside.insert(path);
    }
  }
  return {outside.begin(), outside.end()};
}

void ShowWorkspace(const StatePaths& paths, const pb::RunRecord& record, CapsuleOptions* options) {
  const pb::JobSpec& spec = record.spec();
  const bool private_tmp = HasPrivateTmp(spec);
  if (private_tmp) options->private_tmp = paths.tmp_dir(spec.name());
  if (!record.shared_memory_dir().empty()) {
    options->binds.push_back({.from = record.shared_memory_dir(), .to = kSharedMemory});
  }
  std::vector<std::string> shown;
  const auto show = [&](const std::string& directory) {
    const std::string host = HostPath(record, directory);
    const bool hidden = (private_tmp && directory.starts_with("/tmp/")) ||
                        (HasPrivateSharedMemory(spec) && directory.starts_with("/dev/shm/"));
    const bool covered = std::ranges::any_of(shown, [&](const auto& other) { return IsBelow(directory, other); });
    if (covered || (host == directory && !hidden)) return;
    options->binds.push_back({.from = host, .to = directory});
    shown.push_back(directory);
  };
  if (spec.files() == pb::JobSpec::WORK) {
    for (const std::string& directory : JobDirectories(spec)) show(directory);
  }
  show(spec.cwd());
}

}  // namespace baton
