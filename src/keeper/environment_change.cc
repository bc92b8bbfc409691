#include "keeper/environment_change.h"

#include <algorithm>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>

#include "proc/process_files.h"
#include "task/remote_memory.h"

namespace baton {
namespace {

std::string NameOf(const std::string& change) { return change.substr(0, change.find('=')); }

struct ProcessPlan {
  pid_t pid = 0;
  uint64_t block = 0;
  std::vector<EnvironmentWrite> writes;
};

Result<ProcessPlan> PlanProcess(pid_t pid, const std::vector<std::string>& changes) {
  ProcessPlan plan{.pid = pid, .block = 0, .writes = {}};
  BATON_TRY(const ProcStat stat, ReadStat(pid));
  if (stat.env_end <= stat.env_start) return plan;
  plan.block = stat.env_start;
  std::string block(stat.env_end - stat.env_start, '\0');
  BATON_TRY(const size_t got,
            ReadRemotePrefix(pid, RemotePtr<>(stat.env_start), std::as_writable_bytes(std::span(block))));
  block.resize(got);
  auto writes = PlanEnvironment(block, changes);
  if (!writes) return writes.Fail("process {}", pid);
  plan.writes = std::move(*writes);
  return plan;
}

}  // namespace

Result<> CheckEnvironmentChange(const std::string& change) {
  const size_t equals = change.find('=');
  if (equals != std::string::npos && equals > 0) return {};
  return MakeError(ErrorCode::kInvalidArgument, "--env {}: give NAME=VALUE", change);
}

Result<std::vector<EnvironmentWrite>> PlanEnvironment(std::string_view block, const std::vector<std::string>& changes) {
  std::vector<EnvironmentWrite> writes;
  for (size_t at = 0; at < block.size();) {
    const size_t end = std::min(block.find('\0', at), block.size());
    const std::string_view entry = block.substr(at, end - at);
    for (size_t i = 0; i < changes.size(); ++i) {
      const std::string name = NameOf(changes[i]);
      if (!entry.starts_with(name + "=")) continue;
      if (changes[i].size() > entry.size()) {
        return MakeError(ErrorCode::kNotSupported,
                         "the new value of {} has {} bytes, and must not have more than the old one's {}", name,
                         changes[i].size() - name.size() - 1, entry.size() - name.size() - 1);
      }
      std::string bytes = changes[i];
      bytes.resize(entry.size(), '\0');
      writes.push_back({.offset = at, .bytes = std::move(bytes), .change = i});
    }
    at = end + 1;
  }
  return writes;
}

Result<> ChangeEnvironment(const std::set<pid_t>& pids, const std::vector<std::string>& changes) {
  if (changes.empty()) return {};
  std::vector<ProcessPlan> plans;
  std::set<size_t> found;
  for (const pid_t pid : pids) {
    BATON_TRY(ProcessPlan plan, PlanProcess(pid, changes));
    for (const EnvironmentWrite& write : plan.writes) found.insert(write.change);
    plans.push_back(std::move(plan));
  }
  for (size_t i = 0; i < changes.size(); ++i) {
    if (found.contains(i)) continue;
    return MakeError(ErrorCode::kNotFound, "--env: no process has {} in the environment it was started with",
                     NameOf(changes[i]));
  }
  for (const ProcessPlan& plan : plans) {
    for (const EnvironmentWrite& write : plan.writes) {
      BATON_CHECKED(
          WriteRemote(plan.pid, RemotePtr<>(plan.block + write.offset), std::as_bytes(std::span(write.bytes))));
    }
  }
  return {};
}

}  // namespace baton
