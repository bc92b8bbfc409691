#include "engine/native/process_maker.h"

#include <sys/syscall.h>

#include "base/fault.h"

namespace baton {
Result<> MakeProcesses(const UnitImage& image, const BootArea& boot, const RestoreRequest& request,
                       BlankProcesses& made) {
  BATON_CHECKED(FailPoint("restore.processes"));
  for (const pb::ProcessRecord& process : image.processes) {
    const pid_t pid = process.pid();
    const auto parent = made.find(process.ppid());
    if (parent == made.end()) {
      BATON_TRY(const pid_t host, request.spawner->SpawnStub(pid));
      BATON_TRY(made[pid], BlankTask::TakeStub(host, pid, boot));
    } else {
      BATON_TRY(made[pid], BlankTask::Fork(*parent->second, pid));
    }
    if (process.sid() == pid) BATON_CHECKED(made[pid]->calls().Do("setsid", SYS_setsid));
  }
  for (const pb::ProcessRecord& process : image.processes) {
    if (process.sid() == process.pid()) continue;
    BATON_CHECKED(made[process.pid()]->calls().Call(SYS_setpgid, 0, process.pgid()));
  }
  return {};
}
}  // namespace baton
