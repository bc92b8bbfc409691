#include "resource/common/thread_number.h"

#include "proc/process_files.h"

namespace baton {

std::optional<ThreadNumber> FindThread(pid_t host_tid, const CaptureContext& context) {
  const auto status = ReadStatus(host_tid);
  if (!status) return std::nullopt;
  const auto process = context.NsPid(status->tgid);
  if (!process) return std::nullopt;
  // A leader's number is known; without CONFIG_PID_NS every thread is called the same everywhere.
  if (status->tgid == host_tid) return ThreadNumber{.ns_tid = *process, .ns_pid = *process};
  return ThreadNumber{.ns_tid = status->ns_pid.empty() ? host_tid : status->ns_pid.back(), .ns_pid = *process};
}

}  // namespace baton
