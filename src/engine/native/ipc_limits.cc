#include "engine/native/ipc_limits.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <string>
#include <string_view>
#include <utility>

#include "base/fault.h"
#include "base/file.h"
#include "base/log.h"
#include "proc/namespace_visit.h"

namespace baton {
namespace {

constexpr std::string_view kRemoveOrphans = "kernel/shm_rmid_forced";
constexpr std::array<std::string_view, 13> kNames{"kernel/shmmax",
                                                  "kernel/shmall",
                                                  "kernel/shmmni",
                                                  kRemoveOrphans,
                                                  "kernel/msgmax",
                                                  "kernel/msgmnb",
                                                  "kernel/msgmni",
                                                  "kernel/sem",
                                                  "fs/mqueue/queues_max",
                                                  "fs/mqueue/msg_max",
                                                  "fs/mqueue/msgsize_max",
                                                  "fs/mqueue/msg_default",
                                                  "fs/mqueue/msgsize_default"};

std::string PathOf(std::string_view name) { return fmt::format("/proc/sys/{}", name); }

Result<std::string> ValueOf(std::string_view name) {
  BATON_TRY(std::string value, ReadFile(PathOf(name)));
  if (value.ends_with('\n')) value.pop_back();
  return value;
}

// Without O_CREAT: a kernel that does not have it, says so.
Result<> Set(std::string_view name, const std::string& value) {
  BATON_TRY(const UniqueFd file, OpenFile(PathOf(name), O_WRONLY));
  return WriteAll(file.get(), value);
}

Result<> SetAll(const pb::UnitRecord& record, IpcLimits which) {
  for (const std::string_view name : kNames) {
    if ((name == kRemoveOrphans) != (which == IpcLimits::kOfOrphans)) continue;
    const auto wanted = record.ipc_limits().find(std::string(name));
    if (wanted == record.ipc_limits().end()) continue;
    const auto now = ValueOf(name);
    if (now && *now == wanted->second) continue;
    if (auto set = Set(name, wanted->second); !set) {
      BATON_LOG(kWarn, "{} stays {} instead of {}: {}", PathOf(name), now.value_or("?"), wanted->second,
                set.error().ToString());
    }
  }
  return {};
}

}  // namespace

Result<> CaptureIpcLimits(pid_t pid, pb::UnitRecord& record) {
  BATON_CHECKED(FailPoint("capture.ipc_limits"));
  if (ShareNamespace(pid, getpid(), "ipc")) return {};
  return InIpcNamespaceOf(pid, [&record]() -> Result<> {
    for (const std::string_view name : kNames) {
      if (auto value = ValueOf(name)) (*record.mutable_ipc_limits())[std::string(name)] = std::move(*value);
    }
    return {};
  });
}

Result<> RestoreIpcLimits(pid_t pid, const pb::UnitRecord& record, IpcLimits which) {
  BATON_CHECKED(FailPoint("restore.ipc_limits"));
  if (record.ipc_limits().empty() || ShareNamespace(pid, getpid(), "ipc")) return {};
  return InIpcNamespaceOf(pid, [&] { return SetAll(record, which); });
}

}  // namespace baton
