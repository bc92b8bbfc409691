#include "keeper/run_job.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <utility>
#include <vector>

#include "base/file.h"
#include "capsule/lent_ids.h"
#include "keeper/job_parts.h"
#include "keeper/process_id.h"
#include "keeper/resume_job.h"
#include "keeper/run_name.h"
#include "keeper/store_checkpointer.h"
#include "keeper/workspace_plan.h"
#include "store/directory_store.h"

namespace baton {
namespace {

constexpr int kNotExecutable = 126;
constexpr int kNotFound = 127;

// A new run: what an older one of the name has left is dropped.
Result<pb::RunRecord> NewRecord(const RunRequest& request, const std::string& name) {
  pb::RunRecord record;
  record.set_version(1);
  *record.mutable_spec() = request.spec;
  record.mutable_spec()->set_version(1);
  record.mutable_spec()->set_name(name);
  record.set_state(pb::RunRecord::RUNNING);
  record.set_attempt(1);
  record.set_created_ms(WallClockMs());
  record.set_attempt_started_ms(record.created_ms());
  record.set_output_path(request.output_path.empty() ? request.paths.output(name) : request.output_path);
  record.set_store_dir(request.store_dir.empty() ? request.paths.store_dir() : request.store_dir);
  if (!request.place_workdir.empty()) {
    auto* placed = record.add_placed();
    placed->set_job_path(record.spec().workdir());
    placed->set_host_path(request.place_workdir);
  }
  return record;
}

// The private /tmp begins empty.
Result<> FreshTmp(const std::string& path) {
  BATON_CHECKED(WithLentIds([&path]() -> Result<> {
    std::error_code error;
    std::filesystem::remove_all(path, error);
    if (error) return ErrnoError(error.value(), "empty {}", path);
    return {};
  }));
  return MakeDirectories(path);
}

// In the machine's own /tmp only where one may write there.
Result<> GivePort(pb::RunRecord* record) {
  const bool private_tmp = HasPrivateTmp(record->spec());
  if (!private_tmp && access("/tmp", W_OK | X_OK) != 0) return {};
  BATON_TRY(*record->mutable_spec()->mutable_port(), ChoosePort(private_tmp));
  return {};
}

// A workspace that is too large is refused before the job runs.
Result<> CheckWorkspaceOf(const StatePaths& paths, const pb::RunRecord& record) {
  if (record.spec().files() != pb::JobSpec::WORK) return {};
  const DirectoryStore store(record.store_dir());
  auto checked = WithLentIds([&]() -> Result<> {
    BATON_CHECKED(CheckWorkspace(SaveOptions(paths, record, store.ObjectsPath(record.spec().name()))));
    return {};
  });
  if (!checked) return checked.Fail("workspace");
  return {};
}

// The store may hold checkpoints of a job of this name: those of an ended one may be dropped, others only if asked.
Result<> CheckStore(const RunRequest& request, const pb::RunRecord& record) {
  const std::string& name = record.spec().name();
  BATON_TRY(const auto numbers, DirectoryStore(record.store_dir()).List(name));
  if (numbers.empty() || request.replace) return {};
  const auto before = LoadRunRecord(request.paths, name);
  const bool over = before && before->state() == pb::RunRecord::ENDED && before->store_dir() == record.store_dir();
  if (over) return {};
  return MakeError(ErrorCode::kConflict,
                   "{} has checkpoint {} of a job named '{}': go on with it by `baton run --resume {}`, give another "
                   "--name, or drop it with --replace",
                   record.store_dir(), numbers.back(), name, name);
}

CommandLine CommandOf(const pb::JobSpec& spec) {
  return {.argv = {spec.argv().begin(), spec.argv().end()}, .env = JobEnvironment(spec), .cwd = spec.cwd()};
}

// What a shell would say of a program that cannot be started; nothing for any other error.
std::optional<JobEnd> NotStarted(const Error& error) {
  if (error.code() == ErrorCode::kNotFound) return JobEnd{.exit_code = kNotFound, .note = error.ToString()};
  if (error.code() == ErrorCode::kNotSupported) return JobEnd{.exit_code = kNotExecutable, .note = error.ToString()};
  return std::nullopt;
}

Result<> NoteFailure(Keeper* keeper, const std::string& why) {
  keeper->record().set_state(pb::RunRecord::FAILED);
  keeper->record().set_error(why);
  keeper->record().set_ended_ms(WallClockMs());
  return keeper->SaveRecord();
}

// Runs the command to its end. REQUIRES: `keeper` is new.
Result<JobEnd> StartProgram(const RunRequest& request, Keeper* keeper) {
  if (request.companion != nullptr) {
    keeper->UseCompanion(request.companion);
    BATON_CHECKED(request.companion->AwaitStart(*keeper, std::nullopt));
  }
  auto root = keeper->capsule().SpawnCommand(CommandOf(keeper->record().spec()));
  if (!root) {
    BATON_CHECKED(NoteFailure(keeper, root.error().ToString()));
    if (auto end = NotStarted(root.error())) return *end;
    return root.Fail();
  }
  keeper->record().set_job_pid(root->host_pid);
  BATON_CHECKED(keeper->SaveRecord());
  BATON_TRY(auto checkpointer, StoreCheckpointer::Create(keeper, request.paths, {}));
  BATON_CHECKED(keeper->UseCheckpointer(std::move(checkpointer), keeper->record().spec().every_ms()));
  return keeper->Run();
}

// All that may be refused comes before what an older run of the name has left is dropped.
Result<JobEnd> StartNamed(const RunRequest& request, NamedRun run) {
  BATON_TRY(pb::RunRecord record, NewRecord(request, run.name));
  BATON_TRY(JobLock store_lock, JobLock::Take(record.store_dir(), run.name));
  BATON_CHECKED(CheckStore(request, record));
  if (record.spec().files() == pb::JobSpec::WORK) BATON_CHECKED(FreshTmp(request.paths.tmp_dir(run.name)));
  BATON_TRY(auto shared_memory, MakeSharedMemory(&record));
  BATON_CHECKED(CheckWorkspaceOf(request.paths, record));
  BATON_CHECKED(GivePort(&record));
  BATON_TRY(std::optional<JobPort> port, OpenPort(request.paths, record));
  BATON_TRY(UniqueFd signals, TakeSignals());
  BATON_TRY(JobLog log, JobLog::Open(record.output_path(), 0, request.copies));
  BATON_TRY(Capsule capsule, Capsule::Create(CapsuleOptionsFor(request.paths, record, log)));
  BATON_CHECKED(RemoveDirectory(record.store_dir() + "/" + run.name));
  BATON_CHECKED(NoteOwners(&record, capsule.init_pid()));
  BATON_CHECKED(SaveRunRecord(request.paths, record));
  BATON_TRY(auto keeper, Keeper::Create({.paths = request.paths,
                                         .lock = std::move(run.lock),
                                         .store_lock = std::move(store_lock),
                                         .signals = std::move(signals),
                                         .record = std::move(record),
                                         .log = std::move(log),
                                         .port = std::move(port),
                                         .shared_memory = std::move(shared_memory),
                                         .capsule = std::move(capsule)}));
  return StartProgram(request, keeper.get());
}

bool IsRun(const StatePaths& paths, const std::string& name) {
  return std::ranges::binary_search(ListRuns(paths).value_or(std::vector<std::string>{name}), name);
}

Result<JobEnd> StartFresh(const RunRequest& request) {
  if (request.spec.argv().empty()) return MakeError(ErrorCode::kInvalidArgument, "no command given");
  BATON_TRY(NamedRun run, TakeRunName(request.paths, request.spec.name(), request.spec.argv(0), request.replace));
  const std::string name = run.name;
  auto ended = StartNamed(request, std::move(run));
  // What was refused leaves no run behind, and its name free.
  if (!ended && !IsRun(request.paths, name)) RemoveEmptyRun(request.paths, name);
  return ended;
}

}  // namespace

Result<JobEnd> RunJob(const RunRequest& request) {
  if (request.resume) return ResumeJob(request);
  return StartFresh(request);
}

}  // namespace baton
