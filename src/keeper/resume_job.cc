#include "keeper/resume_job.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <iostream>
#include <optional>
#include <utility>

#include "base/file.h"
#include "base/log.h"
#include "capsule/lent_ids.h"
#include "keeper/environment_change.h"
#include "keeper/job_parts.h"
#include "keeper/log_archive.h"
#include "keeper/path_map.h"
#include "keeper/process_id.h"
#include "keeper/processes_below.h"
#include "keeper/saved_checkpoint.h"
#include "keeper/spawners.h"
#include "keeper/store_checkpointer.h"
#include "keeper/workspace_plan.h"
#include "store/job_lock.h"
#include "thread/background.h"
#include "workspace/host_files.h"

namespace baton {
namespace {

// What this machine knows of the run; nothing if the job comes from another one.
Result<std::optional<pb::RunRecord>> KnownRecord(const StatePaths& paths, const std::string& name) {
  auto record = LoadRunRecord(paths, name);
  if (!record && record.error().code() == ErrorCode::kNotFound) return std::nullopt;
  if (!record) return record.Fail();
  if (record->state() == pb::RunRecord::ENDED) {
    return MakeError(ErrorCode::kInvalidArgument, "run '{}' has ended with exit code {}: there is nothing to resume",
                     name, record->exit_code());
  }
  return std::optional(std::move(*record));
}

// The kernel ends the job of a keeper that died, but not at once; two of them must never run.
Result<> AwaitPredecessor(const std::optional<pb::RunRecord>& known) {
  if (!known) return {};
  BATON_TRY(const std::string boot_id, BootId());
  if (known->boot_id() != boot_id) return {};
  constexpr std::chrono::seconds kPatience(10);
  const ProcessId init{.pid = known->init_pid(), .start_time = known->init_start_time()};
  if (auto gone = AwaitGone(init, kPatience); !gone) return gone.Fail("the last attempt's processes still run");
  return {};
}

std::string StoreOf(const RunRequest& request, const std::optional<pb::RunRecord>& known) {
  if (!request.store_dir.empty()) return request.store_dir;
  return known && !known->store_dir().empty() ? known->store_dir() : request.paths.store_dir();
}

void ReportDamage(uint64_t number, const Error& why) {
  std::cerr << fmt::format("baton: checkpoint {} is damaged, trying an older one: {}\n", number, why.ToString());
}

struct FoundCheckpoint {
  JobLock lock;
  SavedCheckpoint saved;
};

// Locks the job's checkpoints, if there are any: a name that was mistyped must not make a store.
Result<FoundCheckpoint> FindCheckpoint(const std::string& store_dir, const std::string& name) {
  BATON_TRY(const auto numbers, DirectoryStore(store_dir).List(name));
  if (numbers.empty()) {
    return MakeError(ErrorCode::kNotFound, "there is no checkpoint of '{}' in {} (another place: --store)", name,
                     store_dir);
  }
  BATON_TRY(JobLock lock, JobLock::Take(store_dir, name));
  BATON_TRY(SavedCheckpoint saved, LoadNewestGood(store_dir, name, ReportDamage));
  return FoundCheckpoint{.lock = std::move(lock), .saved = std::move(saved)};
}

// The first of `points` that is whole.
Result<FoundCheckpoint> FindOther(const std::string& store_dir, const std::string& name,
                                  const std::vector<ResumePoint>& points) {
  BATON_TRY(JobLock lock, JobLock::Take(store_dir, name));
  const DirectoryStore store(store_dir);
  std::string last;
  for (const ResumePoint& point : points) {
    auto saved = LoadCheckpoint(store, store_dir, point.name, point.number);
    if (saved) return FoundCheckpoint{.lock = std::move(lock), .saved = std::move(*saved)};
    ReportDamage(point.number, saved.error());
    last = saved.error().ToString();
  }
  return MakeError(ErrorCode::kCorrupt, "none of {} checkpoints is whole; the last one: {}", points.size(), last);
}

// For its hooks; what its processes have is in their memory.
void SetEnvironment(const std::vector<std::string>& changes, pb::JobSpec* spec) {
  for (const std::string& change : changes) {
    const std::string name = change.substr(0, change.find('=') + 1);
    auto& env = *spec->mutable_env();
    env.erase(std::remove_if(env.begin(), env.end(), [&](const std::string& entry) { return entry.starts_with(name); }),
              env.end());
    spec->add_env(change);
  }
}

// The record of the attempt to come.
pb::RunRecord NextRecord(const RunRequest& request, const std::optional<pb::RunRecord>& known,
                         const SavedCheckpoint& saved, const std::string& store_dir) {
  pb::RunRecord record;
  record.set_version(1);
  *record.mutable_spec() = saved.record.spec();
  record.mutable_spec()->set_name(request.spec.name());
  if (request.every_ms) record.mutable_spec()->set_every_ms(*request.every_ms);
  if (request.clock_wall) record.mutable_spec()->set_clock_wall(*request.clock_wall);
  if (request.reset_tcp_outside) record.mutable_spec()->set_reset_tcp_outside(*request.reset_tcp_outside);
  request.hooks.Apply(record.mutable_spec()->mutable_hooks());
  if (!request.spec.changed_files().empty()) record.mutable_spec()->set_changed_files(request.spec.changed_files());
  record.set_state(pb::RunRecord::RUNNING);
  // Higher than any that the program can have seen: it is its generation, too.
  record.set_attempt(std::max(known ? known->attempt() : 0, saved.record.attempt()) + 1);
  record.set_attempt_started_ms(WallClockMs());
  record.set_created_ms(known ? known->created_ms() : record.attempt_started_ms());
  const std::string output = known ? known->output_path() : request.paths.output(record.spec().name());
  record.set_output_path(request.output_path.empty() ? output : request.output_path);
  record.set_store_dir(store_dir);
  *record.mutable_last_checkpoint() = saved.record.note();
  record.set_resumed_from(saved.number);
  SetEnvironment(request.environment, record.mutable_spec());
  if (known) *record.mutable_placed() = known->placed();
  if (known) *record.mutable_mapped() = known->mapped();
  if (!request.path_maps.empty()) record.clear_mapped();
  for (const CapsuleBind& map : request.path_maps) {
    auto* mapped = record.add_mapped();
    mapped->set_job_path(map.to);
    mapped->set_host_path(map.from);
  }
  if (!request.place_workdir.empty()) {
    record.clear_placed();
    auto* placed = record.add_placed();
    placed->set_job_path(record.spec().workdir());
    placed->set_host_path(request.place_workdir);
  }
  return record;
}

// `origin`: the name under which it was saved.
Result<pb::WorkspaceManifest> BringBackWorkspace(const StatePaths& paths, const pb::RunRecord& record,
                                                 const std::string& origin, const pb::WorkspaceManifest& manifest) {
  const DirectoryStore store(record.store_dir());
  WorkspaceRestoreReport report;
  auto restored = WithLentIds([&]() -> Result<> {
    BATON_TRY(report, RestoreWorkspace(manifest, {.objects_dir = store.ObjectsPath(origin),
                                                  .roots = WorkspaceRoots(paths, record),
                                                  .skip_paths = OwnPaths(paths, record),
                                                  .set_aside_dir = {}}));
    return {};
  });
  if (!restored) return restored.Fail("bring the workspace back");
  for (const std::string& directory : report.set_aside_dirs) {
    std::cerr << "baton: files that came after the checkpoint are in " << directory << '\n';
  }
  for (const std::string& note : report.notes) std::cerr << "baton: " << note << '\n';
  return std::move(report.baseline);
}

Result<> BringBackHostFiles(const pb::JobSpec& spec, const pb::HostFiles& files) {
  BATON_TRY(const ChangedFiles mode, ParseChangedFiles(spec.changed_files()));
  BATON_TRY(const HostFilesReport report, CheckHostFiles(files, mode, /*from_pid=*/false));
  for (const std::string& path : report.cut) std::cerr << "baton: " << path << " was cut back to the checkpoint\n";
  for (const std::string& note : report.notes) std::cerr << "baton: " << note << '\n';
  return {};
}

// Files and log as they were; what the next checkpoint builds upon.
Result<CheckpointBase> BringBackFiles(const StatePaths& paths, const pb::RunRecord& record, SavedCheckpoint& saved) {
  CheckpointBase base{.number = 0, .log = saved.record.log(), .workspace = {}};
  const std::string& name = record.spec().name();
  const std::string& origin = saved.record.spec().name();
  BATON_TRY(const auto numbers, DirectoryStore(record.store_dir()).List(name));
  base.number = numbers.empty() ? saved.number : numbers.back();
  if (saved.workspace) {
    BATON_TRY(base.workspace, BringBackWorkspace(paths, record, origin, *saved.workspace));
    for (const std::string& path : saved.record.note().written_outside()) {
      std::cerr << "baton: " << path << " is outside the workspace and is taken as it is\n";
    }
  } else {
    BATON_CHECKED(BringBackHostFiles(record.spec(), saved.record.host_files()));
  }
  BATON_CHECKED(MakeDirectories(paths.run_dir(name)));
  BATON_CHECKED(RestoreLog(LogArchive(record.store_dir(), origin), saved.record.log(), record.output_path()));
  // What was saved under another name is no base: under its own name everything is saved once more.
  if (origin != name) base = {.number = numbers.empty() ? 0 : numbers.back(), .log = {}, .workspace = {}};
  return base;
}

Result<std::unique_ptr<UnitRestore>> Rebuild(Engine* engine, const ImageReader& image, StubSpawner* spawner,
                                             const JobLog& log) {
  BATON_TRY(auto restore,
            engine->BeginRestore(
                {.image = &image,
                 .spawner = spawner,
                 .externals = {{"stdin", STDIN_FILENO}, {"stdout", log.job_stdout()}, {"stderr", log.job_stderr()}}}));
  BATON_CHECKED(restore->Rebuild());
  return restore;
}

// Beside the keeper's loop. No checkpoint can be made meanwhile: the processes are being held by who makes them again.
Result<> RunResumeHook(Keeper* keeper, uint64_t checkpoint) {
  BATON_TRY(Background background, Background::Create());
  std::optional<Result<>> outcome;
  background.Start([hooks = keeper->hooks(), checkpoint] { return hooks.ResumeCommand(checkpoint); });
  keeper->loop().Watch(background.event_fd(), POLLIN, [&](short) -> Result<> {
    outcome = background.Take();
    return {};
  });
  Result<> ran;
  while (ran && !outcome) ran = keeper->loop().RunOnce(-1);
  keeper->loop().Unwatch(background.event_fd());
  if (!outcome) outcome = background.Take();
  BATON_CHECKED(ran);
  if (!*outcome) return *outcome;
  if (keeper->companion() == nullptr || keeper->companion()->MayRun()) return {};
  return MakeError(ErrorCode::kUnavailable, "the job has lost its lease while its resume hook ran");
}

// Programs that waited for a checkpoint when they were saved.
void TellResumed(const Keeper& keeper, const SavedCheckpoint& saved) {
  const JobPort* const port = keeper.port();
  if (port == nullptr) return;
  if (auto set = port->SetStatus("resumed", saved.number); !set) BATON_LOG(kWarn, "{}", set.error().ToString());
  if (auto told = keeper.hooks().ResumeSignal(); !told) BATON_LOG(kWarn, "{}", told.error().ToString());
  for (const std::string& client : saved.record.waiting())
    port->Answer(client, port->StatusText("resumed", saved.number));
}

// What is the job's for as long as its keeper lives.
struct Held {
  RunLock run;
  JobLock store;
  std::optional<SharedMemoryDir> shared_memory;
};

// Makes the processes again under a keeper, which then holds them to their end.
Result<JobEnd> GoOn(const RunRequest& request, Held held, pb::RunRecord record, SavedCheckpoint saved,
                    CheckpointBase base) {
  BATON_TRY(std::optional<JobPort> port, OpenPort(request.paths, record));
  BATON_TRY(UniqueFd signals, TakeSignals());
  BATON_TRY(const auto engine, MakeEngine("native"));
  BATON_TRY(const UnitSummary summary, engine->ReadSummary(*saved.image));
  BATON_TRY(const SavedClocks clocks, engine->ReadClocks(*saved.image));
  BATON_TRY(JobLog log, JobLog::Open(record.output_path(), saved.record.log().bytes(), request.copies));
  CapsuleOptions options = CapsuleOptionsFor(request.paths, record, log);
  CarryClocks(clocks, record.spec().clock_wall(), &options);
  BATON_TRY(Capsule capsule, Capsule::Create(options));
  BATON_CHECKED(NoteOwners(&record, capsule.init_pid()));
  BATON_TRY(auto keeper, Keeper::Create({.paths = request.paths,
                                         .lock = std::move(held.run),
                                         .store_lock = std::move(held.store),
                                         .signals = std::move(signals),
                                         .record = std::move(record),
                                         .log = std::move(log),
                                         .port = std::move(port),
                                         .shared_memory = std::move(held.shared_memory),
                                         .capsule = std::move(capsule)}));
  CapsuleSpawner spawner(&keeper->capsule());
  BATON_TRY(const auto restore, Rebuild(engine.get(), *saved.image, &spawner, keeper->log()));
  BATON_CHECKED(ChangeEnvironment(ProcessesBelow(keeper->capsule().init_pid()), request.environment));
  BATON_CHECKED(keeper->capsule().WatchRoot(summary.root_pid));
  keeper->record().set_job_pid(restore->root_pid());
  BATON_CHECKED(keeper->SaveRecord());
  BATON_TRY(auto checkpointer, StoreCheckpointer::Create(keeper.get(), request.paths, std::move(base)));
  const bool has_hook = keeper->hooks().has_resume_command();
  const auto use_checkpointer = [&] {
    return keeper->UseCheckpointer(std::move(checkpointer), keeper->record().spec().every_ms());
  };
  if (!has_hook) BATON_CHECKED(use_checkpointer());
  std::cerr << fmt::format("--- resumed from checkpoint {} ---\n", saved.number);
  if (request.companion != nullptr) {
    keeper->UseCompanion(request.companion);
    const ResumePoint from{
        .name = saved.record.spec().name(), .number = saved.number, .log_bytes = saved.record.log().bytes()};
    BATON_CHECKED(request.companion->AwaitStart(*keeper, from));
  }
  if (has_hook) {
    BATON_CHECKED(RunResumeHook(keeper.get(), saved.number));
    BATON_CHECKED(use_checkpointer());
  }
  TellResumed(*keeper, saved);
  BATON_CHECKED(restore->Go());
  return keeper->Run();
}

}  // namespace

Result<JobEnd> ResumeJob(const RunRequest& request) {
  const std::string& name = request.spec.name();
  BATON_CHECKED(CheckRunName(name));
  const bool was_known = std::ranges::binary_search(ListRuns(request.paths).value_or(std::vector<std::string>{}), name);
  BATON_TRY(RunLock run_lock, RunLock::Take(request.paths, name));
  BATON_TRY(const auto known, KnownRecord(request.paths, name));
  BATON_CHECKED(AwaitPredecessor(known));
  const std::string store_dir = StoreOf(request, known);
  auto found =
      request.resume_from.empty() ? FindCheckpoint(store_dir, name) : FindOther(store_dir, name, request.resume_from);
  if (!found) {
    // A name that was mistyped must not leave a run behind.
    if (!was_known) RemoveEmptyRun(request.paths, name);
    return found.Fail("run '{}' cannot be resumed", name);
  }
  BATON_CHECKED(CheckPathMaps(found->saved.record.spec(), request.path_maps));
  pb::RunRecord record = NextRecord(request, known, found->saved, store_dir);
  BATON_TRY(auto shared_memory, MakeSharedMemory(&record));
  BATON_TRY(CheckpointBase base, BringBackFiles(request.paths, record, found->saved));
  if (request.companion != nullptr) request.companion->OnFetched();
  Held held{.run = std::move(run_lock), .store = std::move(found->lock), .shared_memory = std::move(shared_memory)};
  return GoOn(request, std::move(held), std::move(record), std::move(found->saved), std::move(base));
}

}  // namespace baton
