#include "keeper/job_parts.h"

#include <unistd.h>

#include "keeper/process_id.h"
#include "keeper/workspace_plan.h"

namespace baton {

CapsuleOptions CapsuleOptionsFor(const StatePaths& paths, const pb::RunRecord& record, const JobLog& log) {
  CapsuleOptions options;
  options.user_namespace = geteuid() != 0;
  options.stdout_fd = log.job_stdout();
  options.stderr_fd = log.job_stderr();
  ShowWorkspace(paths, record, &options);
  for (const auto& mapped : record.mapped()) {
    options.binds.push_back({.from = mapped.host_path(), .to = mapped.job_path()});
  }
  if (const std::string& port = record.spec().port(); !port.empty()) {
    options.binds.push_back({.from = paths.port_dir(record.spec().name()), .to = port});
  }
  return options;
}

Result<std::optional<JobPort>> OpenPort(const StatePaths& paths, const pb::RunRecord& record) {
  const pb::JobSpec& spec = record.spec();
  if (spec.port().empty()) return std::nullopt;
  // What a keeper that died has left of the place where it was shown.
  if (!HasPrivateTmp(spec)) rmdir(spec.port().c_str());
  BATON_TRY(JobPort port, JobPort::Open(paths.port_dir(spec.name()), spec.port(), record.attempt()));
  return port;
}

Result<std::optional<SharedMemoryDir>> MakeSharedMemory(pb::RunRecord* record) {
  record->clear_shared_memory_dir();
  if (!HasPrivateSharedMemory(record->spec())) return std::nullopt;
  BATON_TRY(SharedMemoryDir made, SharedMemoryDir::Create());
  record->set_shared_memory_dir(made.path());
  return std::optional(std::move(made));
}

Result<> NoteOwners(pb::RunRecord* record, pid_t init_pid) {
  BATON_TRY(const std::string boot_id, BootId());
  BATON_TRY(const ProcessId keeper, IdentifyProcess(getpid()));
  BATON_TRY(const ProcessId init, IdentifyProcess(init_pid));
  record->set_boot_id(boot_id);
  record->set_keeper_pid(keeper.pid);
  record->set_keeper_start_time(keeper.start_time);
  record->set_init_pid(init.pid);
  record->set_init_start_time(init.start_time);
  return {};
}

void RemoveEmptyRun(const StatePaths& paths, const std::string& name) {
  rmdir(paths.tmp_dir(name).c_str());
  rmdir(paths.port_dir(name).c_str());
  unlink(paths.lock(name).c_str());
  rmdir(paths.run_dir(name).c_str());
}

}  // namespace baton
