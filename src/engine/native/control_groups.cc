#include "engine/native/control_groups.h"

#include <unistd.h>

#include <algorithm>

#include "base/fault.h"
#include "base/file.h"
#include "base/log.h"
#include "proc/process_files.h"

namespace baton {
namespace {

// Options of a version 1 mount: "rw,cpu,cpuacct" or "rw,name=systemd".
bool HasOption(std::string_view options, std::string_view wanted) {
  while (!options.empty()) {
    const size_t comma = std::min(options.find(','), options.size());
    if (options.substr(0, comma) == wanted) return true;
    options.remove_prefix(std::min(comma + 1, options.size()));
  }
  return false;
}

bool IsHierarchy(const MountInfo& mount, const pb::CgroupRecord& group) {
  if (group.controllers().empty()) return mount.fs_type == "cgroup2";
  return mount.fs_type == "cgroup" && std::ranges::all_of(group.controllers(), [&](const std::string& controller) {
           return HasOption(mount.super_options, controller);
         });
}

bool SameHierarchy(const ProcCgroup& now, const pb::CgroupRecord& group) {
  return std::ranges::equal(now.controllers, group.controllers());
}

std::string NameOf(const pb::CgroupRecord& group) {
  std::string name;
  for (const std::string& controller : group.controllers()) name += (name.empty() ? "" : ",") + controller;
  return name + ":" + group.path();
}

Result<> Join(std::span<const MountInfo> mounts, pid_t host_pid, const pb::CgroupRecord& group) {
  const auto directory = CgroupDirectory(mounts, group);
  if (!directory) return MakeError(ErrorCode::kNotFound, "its hierarchy is not mounted here");
  if (access(directory->c_str(), F_OK) != 0) return MakeError(ErrorCode::kNotFound, "{} is gone", *directory);
  return WriteFile(*directory + "/cgroup.procs", std::to_string(host_pid));
}

}  // namespace

Result<> CaptureCgroups(pid_t pid, pb::ProcessRecord& record) {
  BATON_CHECKED(FailPoint("capture.cgroups"));
  auto groups = ReadCgroup(pid);
  if (!groups && groups.error().code() == ErrorCode::kNotFound) return {};  // a kernel without them
  if (!groups) return groups.Fail();
  for (const ProcCgroup& group : *groups) {
    if (group.deleted) continue;
    pb::CgroupRecord& out = *record.add_cgroups();
    for (const std::string& controller : group.controllers) out.add_controllers(controller);
    out.set_path(group.path);
  }
  return {};
}

std::optional<std::string> CgroupDirectory(std::span<const MountInfo> mounts, const pb::CgroupRecord& group) {
  for (const MountInfo& mount : mounts) {
    if (!IsHierarchy(mount, group)) continue;
    std::string_view path = group.path();
    if (mount.root != "/") {
      const bool below =
          path.starts_with(mount.root) && (path.size() == mount.root.size() || path[mount.root.size()] == '/');
      if (!below) continue;
      path.remove_prefix(mount.root.size());
    }
    return mount.mount_point + (path == "/" ? "" : std::string(path));
  }
  return std::nullopt;
}

Result<> ReturnToCgroups(pid_t host_pid, const pb::ProcessRecord& record) {
  BATON_CHECKED(FailPoint("restore.cgroups"));
  const auto now = ReadCgroup(host_pid);
  if (!now) return {};  // a kernel without them
  std::optional<std::vector<MountInfo>> mounts;
  for (const pb::CgroupRecord& group : record.cgroups()) {
    const auto same = std::ranges::find_if(*now, [&](const ProcCgroup& here) { return SameHierarchy(here, group); });
    if (same != now->end() && same->path == group.path()) continue;
    if (!mounts) {
      BATON_TRY(mounts, ReadMountInfo(getpid()));
    }
    if (auto joined = Join(*mounts, host_pid, group); !joined) {
      BATON_LOG(kWarn, "process {} cannot go back to control group {} ({}): it stays in that of the restore",
                record.pid(), NameOf(group), joined.error().ToString());
    }
  }
  return {};
}

}  // namespace baton
