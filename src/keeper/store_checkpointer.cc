#include "keeper/store_checkpointer.h"

#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <map>
#include <set>
#include <utility>
#include <vector>

#include "base/fault.h"
#include "base/file.h"
#include "base/log.h"
#include "image/writer.h"
#include "keeper/checkpoint_record.h"
#include "keeper/log_archive.h"
#include "keeper/process_id.h"
#include "keeper/processes_below.h"
#include "keeper/stop_and_capture.h"
#include "keeper/tree_checkpoint.h"
#include "keeper/workspace_plan.h"
#include "proc/namespace_visit.h"
#include "thread/signals_blocked.h"
#include "workspace/host_files.h"

namespace baton {
namespace {

constexpr size_t kKept = 3;

uint64_t Microseconds(std::chrono::nanoseconds duration) {
  return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(duration).count());
}

// One for each file: an append-only one only if all its writers append.
std::vector<OpenFileHint> HintsOf(const std::vector<UnitCapture::WrittenFile>& written) {
  std::map<std::pair<uint64_t, uint64_t>, OpenFileHint> hints;
  for (const UnitCapture::WrittenFile& file : written) {
    const auto [hint, fresh] = hints.try_emplace(
        {file.device, file.inode},
        OpenFileHint{.device = file.device, .inode = file.inode, .mapped = file.mapped, .append_only = file.append});
    if (fresh) continue;
    hint->second.mapped = hint->second.mapped || file.mapped;
    hint->second.append_only = hint->second.append_only && file.append;
  }
  std::vector<OpenFileHint> list;
  list.reserve(hints.size());
  for (const auto& [key, hint] : hints) list.push_back(hint);
  return list;
}

void NoteOutside(const std::vector<UnitCapture::WrittenFile>& written, pb::CheckpointRecord* record) {
  constexpr int kMost = 100;
  std::vector<std::string> paths;
  paths.reserve(written.size());
  for (const UnitCapture::WrittenFile& file : written) paths.push_back(file.path);
  for (const std::string& path : OutsideWorkspace(record->spec(), paths)) {
    if (record->note().written_outside_size() < kMost) record->mutable_note()->add_written_outside(path);
  }
}

// Where the job's standard streams lead. Its stdin is saved like any other file if it is one: the job goes on where it
// was in it. A terminal or pipe is that of whoever resumes it.
std::vector<ExternalFd> StandardStreams(const JobLog& log) {
  std::vector<ExternalFd> streams{{"stdout", log.job_stdout()}, {"stderr", log.job_stderr()}};
  struct stat status{};
  const bool file = fstat(STDIN_FILENO, &status) == 0 && S_ISREG(status.st_mode);
  if (!file) streams.push_back({"stdin", STDIN_FILENO});
  return streams;
}

}  // namespace

std::string LogArchive(const std::string& store_dir, const std::string& job) {
  return store_dir + "/" + job + "/output";
}

StoreCheckpointer::StoreCheckpointer(Keeper* keeper, StatePaths paths, CheckpointBase base,
                                     std::unique_ptr<Engine> engine, Background background)
    : keeper_(keeper),
      paths_(std::move(paths)),
      base_(std::move(base)),
      engine_(std::move(engine)),
      background_(std::move(background)),
      store_(keeper->record().store_dir()),
      job_(keeper->record().spec().name()),
      store_dir_(keeper->record().store_dir()),
      output_(keeper->record().output_path()) {
  if (keeper->record().spec().files() == pb::JobSpec::WORK) {
    workspace_ = SaveOptions(paths_, keeper->record(), store_.ObjectsPath(job_));
  }
}

Result<std::unique_ptr<StoreCheckpointer>> StoreCheckpointer::Create(Keeper* keeper, const StatePaths& paths,
                                                                     CheckpointBase base) {
  BATON_TRY(auto engine, MakeEngine("native"));
  BATON_TRY(Background background, Background::Create());
  std::unique_ptr<StoreCheckpointer> made(
      new StoreCheckpointer(keeper, paths, std::move(base), std::move(engine), std::move(background)));
  keeper->loop().Watch(made->background_.event_fd(), POLLIN,
                       [self = made.get()](short) { return self->OnBackground(); });
  return made;
}

StoreCheckpointer::~StoreCheckpointer() {
  keeper_->loop().Unwatch(background_.event_fd());
  if (background_.busy()) static_cast<void>(background_.Take());
}

void StoreCheckpointer::Start(Done done, After after) {
  current_ = std::make_unique<Current>();
  current_->done = std::move(done);
  current_->after = after;
  if (const RunCompanion* companion = keeper_->companion()) current_->keep_from = companion->KeepCheckpointsFrom();
  current_->record.set_version(kCheckpointRecordVersion);
  *current_->record.mutable_spec() = keeper_->record().spec();
  current_->record.set_attempt(keeper_->record().attempt());
  current_->record.mutable_note()->set_number(base_.number + 1);
  current_->hooks = keeper_->hooks();
  SetStatus("saving", *current_);
  background_.Start([this, current = current_.get()] { return PreCopy(*current); });
}

void StoreCheckpointer::Finish() {
  while (busy()) {
    const auto stepped = OnBackground();
    if (!stepped) BATON_LOG(kWarn, "{}", stepped.error().ToString());
  }
}

// A step on the helper thread is over (or is waited for).
Result<> StoreCheckpointer::OnBackground() {
  if (current_ == nullptr) return {};
  auto outcome = background_.Take();
  if (current_->failure) outcome = *current_->failure;
  if (outcome && !current_->captured) {
    const SignalsBlocked while_it_stands = SignalsBlocked::Stops();
    outcome = current_->held->tracer.Run([this] { return Pause(*current_); });
    LetIntoSections(*current_);
    if (outcome) {
      if (current_->stands_still) held_ = current_->held;
      const bool held_back = held_ != nullptr && current_->after == After::kGoOn;
      current_->captured = true;
      background_.Start([this, current = current_.get()] { return WriteOut(*current); });
      return held_back ? keeper_->companion()->OnHeld() : Result<>();
    }
  }
  return Finished(std::move(outcome));
}

// The hook after it is owed also where it has failed.
Result<> StoreCheckpointer::Finished(Result<> outcome) {
  LetIntoSections(*current_);
  if (!outcome && current_->hooks->begun()) {
    current_->failure = std::move(outcome.error());
    background_.Start([this, current = current_.get()]() -> Result<> {
      RunAfter("failed", *current);
      return {};
    });
    return {};
  }
  Conclude(std::move(outcome));
  return {};
}

void StoreCheckpointer::RunAfter(std::string_view word, Current& current) {
  SetStatus(word, current);
  const auto ran = current.hooks->After(word, current.record.note().number());
  if (ran) return;
  BATON_LOG(kWarn, "{}", ran.error().ToString());
  current.record.mutable_note()->set_hook_error(ran.error().ToString());
}

Result<> StoreCheckpointer::PreCopy(Current& current) {
  BATON_CHECKED(FailPoint("checkpoint.begin"));
  BATON_TRY(PendingDirectory place, store_.Begin(job_, current.record.note().number()));
  current.place.emplace(std::move(place));
  const pb::WorkspaceManifest* previous = base_.workspace ? &*base_.workspace : nullptr;
  if (workspace_) {
    BATON_CHECKED(WithIdsOf(keeper_->capsule().init_pid(), [&]() -> Result<> {
      BATON_TRY(current.workspace, WorkspaceSave::PreCopy(*workspace_, previous));
      return {};
    }));
  }
  BATON_CHECKED(current.hooks->Before(current.record.note().number()));
  return KeepOutOfSections(current);
}

Result<> StoreCheckpointer::KeepOutOfSections(Current& current) {
  if (keeper_->port() == nullptr) return {};
  BATON_CHECKED(keeper_->port()->EnterSection(current.hooks->limit()));
  current.in_section = true;
  return {};
}

void StoreCheckpointer::LetIntoSections(Current& current) {
  if (std::exchange(current.in_section, false)) keeper_->port()->LeaveSection();
}

void StoreCheckpointer::SetStatus(std::string_view word, const Current& current) {
  if (keeper_->port() == nullptr) return;
  const auto set = keeper_->port()->SetStatus(word, current.record.note().number());
  if (!set) BATON_LOG(kWarn, "{}", set.error().ToString());
}

Result<> StoreCheckpointer::Pause(Current& current) {
  CaptureRequest request{.scope = CaptureRequest::Scope::kCapsule,
                         .pid = keeper_->capsule().init_pid(),
                         .externals = StandardStreams(keeper_->log()),
                         .reset_tcp_outside = current.record.spec().reset_tcp_outside()};
  if (keeper_->JobHasEnded()) return MakeError(ErrorCode::kUnavailable, "the job has ended");
  const RunCompanion* const companion = keeper_->companion();
  if (companion != nullptr && !companion->MayRun()) {
    return MakeError(ErrorCode::kUnavailable, "the job stands still: it has no lease");
  }
  std::unique_ptr<UnitCapture>& capture = current.held->capture;
  BATON_TRY(capture, engine_->BeginCapture(std::move(request)));
  auto captured = capture->Prepare();
  if (captured) captured = StopAndCapture(*capture, [&] { return NoteStopped(current); });
  if (captured) captured = NoteCaptured(current);
  // It may have taken longer than the job was still allowed to run.
  current.stands_still = captured && (current.after == After::kHold || (companion != nullptr && !companion->MayRun()));
  if (current.stands_still) DieWithTracer(keeper_->capsule().init_pid());
  if (captured && !current.stands_still) captured = capture->Resume();
  // By the thread that stopped the job; and the job must not wait for anybody to notice.
  if (!captured) capture.reset();
  return captured;
}

Result<> StoreCheckpointer::LetGo() {
  const std::shared_ptr<Held> held = std::move(held_);
  return held->tracer.Run([&] { return held->capture->Resume(); });
}

Result<> StoreCheckpointer::NoteStopped(Current& current) {
  BATON_CHECKED(FailPoint("checkpoint.stopped"));
  BATON_CHECKED(keeper_->log().Drain());
  current.record.mutable_log()->set_bytes(keeper_->log().length());
  const std::vector<std::string> askers = keeper_->TakeAskers();
  current.record.mutable_waiting()->Assign(askers.begin(), askers.end());
  current.record.mutable_note()->set_taken_ms(WallClockMs());
  return {};
}

Result<> StoreCheckpointer::NoteCaptured(Current& current) {
  const auto written = current.held->capture->written_files();
  // Ours, too: for a capture we hold copies of the job's descriptors.
  current.job_pids = ProcessesBelow(keeper_->capsule().init_pid());
  current.job_pids.insert(getpid());
  if (current.workspace) {
    NoteOutside(written, &current.record);
    return WithIdsOf(keeper_->capsule().init_pid(), [&] { return current.workspace->FinalPass(HintsOf(written)); });
  }
  std::vector<HostFile> files;
  files.reserve(written.size());
  const std::string port = current.record.spec().port() + "/";
  for (const auto& file : written) {
    if (port.size() > 1 && file.path.starts_with(port)) continue;
    files.push_back({.path = file.path, .append_only = file.append && !file.mapped});
  }
  BATON_TRY(*current.record.mutable_host_files(), RecordHostFiles(files));
  return {};
}

Result<> StoreCheckpointer::WriteImage(Current& current) {
  BATON_TRY(ImageWriter writer, ImageWriter::Create(ImageDirectory(current.place->path()), {.bypass_cache = true}));
  writer.SetInfo("job", job_);
  BATON_CHECKED(current.held->capture->Write(writer));
  return writer.Finish();
}

Result<> StoreCheckpointer::WriteOut(Current& current) {
  // One that stands still does not go on before it is resumed somewhere.
  if (current.after == After::kGoOn) RunAfter("copied", current);
  BATON_CHECKED(FailPoint("checkpoint.write"));
  pb::CheckpointRecord& record = current.record;
  BATON_TRY(*record.mutable_log(), ArchiveLog(output_, record.log().bytes(), base_.log, LogArchive(store_dir_, job_)));
  BATON_CHECKED(WriteImage(current));
  if (current.workspace) {
    BATON_TRY(const WorkspaceStats stats, current.workspace->Finish(WorkspaceFile(current.place->path())));
    record.mutable_note()->set_bytes(stats.before_bytes + stats.freeze_bytes);
    current.manifest = current.workspace->manifest();
    current.workspace.reset();  // its objects are locked until then, and DropOld needs them
  }
  if (!workspace_) BATON_CHECKED(NoteOtherWriters(*record.mutable_host_files(), current.job_pids));
  const CaptureStats stats = current.held->capture->stats();
  pb::CheckpointNote& note = *record.mutable_note();
  note.set_pause_us(Microseconds(stats.pause));
  note.set_memory_bytes(stats.memory_bytes);
  note.set_processes(stats.processes);
  note.set_threads(stats.threads);
  note.set_bytes(note.bytes() + DirectoryBytes(ImageDirectory(current.place->path())));
  note.set_total_us(Microseconds(std::chrono::steady_clock::now() - current.begin));
  BATON_CHECKED(NoteDigests(current.place->path(), &record));
  BATON_CHECKED(SaveCheckpointRecord(current.place->path(), record));
  BATON_CHECKED(FailPoint("checkpoint.commit"));
  BATON_CHECKED(current.place->Commit());
  note.set_total_us(Microseconds(std::chrono::steady_clock::now() - current.begin));
  // Too many old ones do no harm to this one.
  if (auto dropped = DropOld(current.keep_from); !dropped)
    BATON_LOG(kWarn, "old checkpoints: {}", dropped.error().ToString());
  return {};
}

Result<> StoreCheckpointer::DropOld(std::optional<uint64_t> keep_from) {
  BATON_TRY(const auto kept, keep_from ? store_.KeepFrom(job_, *keep_from) : store_.KeepNewest(job_, kKept));
  if (!workspace_) return {};
  std::vector<std::string> manifests;
  for (const uint64_t number : kept) manifests.push_back(WorkspaceFile(store_.CheckpointPath(job_, number)));
  BATON_TRY(const uint64_t freed, CollectObjects(store_.ObjectsPath(job_), manifests));
  BATON_LOG(kDebug, "{} bytes of old files removed", freed);
  return {};
}

void StoreCheckpointer::Conclude(Result<> outcome) {
  const std::unique_ptr<Current> ended = std::move(current_);
  if (held_ != ended->held) ended->held->capture.reset();
  LetIntoSections(*ended);
  SetStatus(outcome ? "saved" : "failed", *ended);
  if (!outcome) {
    ended->workspace.reset();
    ended->place.reset();  // nothing is left of it when they hear
    ended->done(Result<pb::CheckpointNote>(std::move(outcome.error())));
    return;
  }
  base_.number = ended->record.note().number();
  base_.log = ended->record.log();
  base_.workspace = std::move(ended->manifest);
  ended->done(ended->record.note());
}

}  // namespace baton
