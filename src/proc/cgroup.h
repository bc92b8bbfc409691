// /proc/PID/cgroup: where a process is in each control-group hierarchy.
//
//   4:cpu,cpuacct:/job        a version 1 hierarchy
//   1:name=systemd:/          a named one without controllers
//   0::/user.slice            version 2
//
// Kernel source: kernel/cgroup/cgroup.c proc_cgroup_show(); man 7 cgroups.
// Pure; thread-safe. Errors: kCorrupt, quoting the line.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace baton {

struct ProcCgroup {
  int hierarchy_id = 0;                  // 0: version 2
  std::vector<std::string> controllers;  // "cpu", "cpuacct"; "name=systemd"; empty for version 2
  std::string path;                      // from the root of the reader's cgroup namespace; "/../x" if outside it
  bool deleted = false;                  // the group is gone: " (deleted)" was taken off `path`
};

Result<std::vector<ProcCgroup>> ParseCgroup(std::string_view text);

}  // namespace baton
