#include "keeper/process_id.h"

#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "base/file.h"
#include "proc/process_files.h"

namespace baton {

Result<std::string> BootId() {
  BATON_TRY(std::string id, ReadFile("/proc/sys/kernel/random/boot_id"));
  while (!id.empty() && id.back() == '\n') id.pop_back();
  return id;
}

Result<ProcessId> IdentifyProcess(pid_t pid) {
  BATON_TRY(const ProcStat stat, ReadStat(pid));
  return ProcessId{.pid = pid, .start_time = stat.starttime};
}

bool ProcessLives(const ProcessId& id) {
  if (id.pid <= 0) return false;
  const auto stat = ReadStat(id.pid);
  return stat && stat->starttime == id.start_time && stat->state != 'Z' && stat->state != 'X';
}

Result<> AwaitGone(const ProcessId& id, std::chrono::milliseconds limit) {
  const int raw = id.pid <= 0 ? -1 : static_cast<int>(syscall(SYS_pidfd_open, id.pid, 0U));
  if (raw < 0) return {};
  const UniqueFd pidfd(raw);
  // Looked at after the pidfd is there: what it refers to is the process meant, or one that took the number since.
  if (!ProcessLives(id)) return {};
  pollfd ended{.fd = pidfd.get(), .events = POLLIN, .revents = 0};
  int ready = 0;
  do {
    ready = poll(&ended, 1, static_cast<int>(limit.count()));
  } while (ready < 0 && errno == EINTR);
  if (ready > 0) return {};
  return MakeError(ErrorCode::kUnavailable, "process {} has not ended within {} ms", id.pid, limit.count());
}

int64_t WallClockMs() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

}  // namespace baton
