#include "keeper/keeper.h"

#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <iostream>
#include <utility>

#include "base/log.h"
#include "keeper/process_id.h"

namespace baton {
namespace {

constexpr int kSignalExit = 128;
constexpr size_t kMostAskers = 4096;  // a job has that many processes that wait, or it is none that means it

pb::ControlReply RecordReply(const pb::RunRecord& record) {
  pb::ControlReply reply;
  *reply.mutable_record() = record;
  return reply;
}

Result<UniqueFd> RepeatingTimer(uint64_t every_ms) {
  const int raw = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
  if (const int error = errno; raw < 0) return ErrnoError(error, "timerfd_create");
  UniqueFd timer(raw);
  const timespec period{.tv_sec = static_cast<time_t>(every_ms / 1000),
                        .tv_nsec = static_cast<long>(every_ms % 1000) * 1'000'000};
  const itimerspec spec{.it_interval = period, .it_value = period};
  const int set = timerfd_settime(raw, 0, &spec, nullptr);
  if (const int error = errno; set != 0) return ErrnoError(error, "timerfd_settime");
  return timer;
}

}  // namespace

int ExitCodeOf(int wait_status) {
  return WIFSIGNALED(wait_status) ? kSignalExit + WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
}

Result<UniqueFd> TakeSignals() {
  sigset_t taken;
  sigemptyset(&taken);
  for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGQUIT}) sigaddset(&taken, number);
  sigprocmask(SIG_BLOCK, &taken, nullptr);
  signal(SIGPIPE, SIG_IGN);
  // Whoever started us may ignore it (cron jobs, daemons): then the kernel would tell neither us nor the capsule's init
  // of any end, and a job would never be over.
  signal(SIGCHLD, SIG_DFL);
  const int fd = signalfd(-1, &taken, SFD_CLOEXEC | SFD_NONBLOCK);
  if (const int error = errno; fd < 0) return ErrnoError(error, "signalfd");
  return UniqueFd(fd);
}

Result<std::unique_ptr<Keeper>> Keeper::Create(Parts parts) {
  std::unique_ptr<Keeper> keeper(new Keeper(std::move(parts)));
  Keeper* self = keeper.get();
  self->loop_.Watch(self->parts_.signals.get(), POLLIN, [self](short) { return self->OnSignal(); });
  self->loop_.Watch(self->parts_.capsule.event_fd(), POLLIN, [self](short) { return self->OnCapsule(); });
  if (const JobPort* port = self->port()) {
    self->loop_.Watch(port->socket_fd(), POLLIN, [self](short) { return self->OnPort(); });
  }
  BATON_TRY(self->control_,
            ControlServer::Listen(self->parts_.paths.socket(self->parts_.record.spec().name()), &self->loop_,
                                  [self](ControlServer::ClientId client, const pb::ControlRequest& request) {
                                    return self->OnControl(client, request);
                                  }));
  return keeper;
}

Keeper::~Keeper() {
  // Before the capsule goes: a checkpoint under way may still hold the job's processes.
  checkpointer_.reset();
}

Result<> Keeper::UseCheckpointer(std::unique_ptr<Checkpointer> checkpointer, uint64_t every_ms) {
  checkpointer_ = std::move(checkpointer);
  if (every_ms == 0) return {};
  BATON_TRY(UniqueFd timer, RepeatingTimer(every_ms));
  loop_.Watch(timer.get(), POLLIN, [this](short) { return OnTimer(); });
  timer_ = std::move(timer);
  return {};
}

Result<JobEnd> Keeper::Run() {
  // Events that came in while the job was being started do not show on the descriptor.
  BATON_CHECKED(OnCapsule());
  while (!init_gone_) BATON_CHECKED(RunOnce());
  // A checkpoint may take long to be written, and a companion has things to do meanwhile.
  while (companion_ != nullptr && checkpointer_ != nullptr && checkpointer_->busy()) BATON_CHECKED(RunOnce());
  return Conclude();
}

Result<> Keeper::RunOnce() {
  WatchLog();
  constexpr int kRetryMs = 500;
  BATON_CHECKED(loop_.RunOnce(log_stuck_ ? kRetryMs : -1));
  if (log_stuck_) PumpLog(0);
  return {};
}

void Keeper::WatchLog() {
  for (size_t index = 0; index < log().streams(); ++index) {
    if (log_stuck_ || log().Full(index)) {
      loop_.Unwatch(log().pipe(index));
    } else {
      loop_.Watch(log().pipe(index), POLLIN, [this, index](short) -> Result<> {
        PumpLog(index);
        return {};
      });
    }
    if (!log().Queued(index)) {
      loop_.Unwatch(log().copy_fd(index));
      continue;
    }
    loop_.Watch(log().copy_fd(index), POLLOUT, [this](short) -> Result<> {
      log().CopyOut(/*flush=*/false);
      return {};
    });
  }
}

// A log that cannot be written to holds the job back, but does not end it.
void Keeper::PumpLog(size_t index) {
  const auto pumped = log().Pump(index);
  log().CopyOut(/*flush=*/false);
  if (std::exchange(log_stuck_, !pumped) == !pumped) return;
  if (pumped) {
    BATON_LOG(kWarn, "the log can be written again: the job's output goes on");
  } else {
    BATON_LOG(kWarn, "{}: the job's output waits until that works", pumped.error().ToString());
  }
}

Result<> Keeper::OnSignal() {
  signalfd_siginfo info{};
  while (read(parts_.signals.get(), &info, sizeof(info)) == static_cast<ssize_t>(sizeof(info))) {
    const int number = static_cast<int>(info.ssi_signo);
    const bool again = std::exchange(interrupted_, interrupted_ || number == SIGINT || number == SIGTERM);
    if (again && (number == SIGINT || number == SIGTERM)) {
      BATON_LOG(kInfo, "second signal: killing the job");
      root_status_ = root_status_.value_or(SIGKILL);  // as wait(2) would report it
      return capsule().Kill();
    }
    const auto sent = capsule().SignalJob(number);
    if (!sent && sent.error().code() != ErrorCode::kUnavailable) return sent;
  }
  return {};
}

Result<> Keeper::OnCapsule() {
  while (true) {
    BATON_TRY(const auto event, capsule().NextEvent());
    if (!event) return {};
    if (event->kind == CapsuleEvent::Kind::kInitGone) {
      init_gone_ = true;
      loop_.Unwatch(capsule().event_fd());
      return {};
    }
    OnExit(*event);
  }
}

void Keeper::OnExit(const CapsuleEvent& event) {
  if (event.ns_pid == capsule().root_ns_pid()) root_status_ = event.wait_status;
}

Result<> Keeper::OnTimer() {
  uint64_t expirations = 0;
  if (read(timer_->get(), &expirations, sizeof(expirations)) < 0) return {};
  // Still busy with the last one: this one is left out rather than queued behind it. A job that is ending is let end.
  if (!checkpointer_->busy() && !root_status_) RequestCheckpoint(std::nullopt);
  return {};
}

std::optional<pb::ControlReply> Keeper::OnControl(ControlServer::ClientId client, const pb::ControlRequest& request) {
  switch (request.request_case()) {
    case pb::ControlRequest::kStatus:
      return RecordReply(record());
    case pb::ControlRequest::kSignal: {
      const auto sent = capsule().SignalJob(request.signal().signal());
      return sent ? RecordReply(record()) : ErrorReply(sent.error());
    }
    case pb::ControlRequest::kCheckpoint:
      if (checkpointer_ == nullptr || root_status_ || init_gone_ || checkpointer_->holds()) {
        return ErrorReply(MakeError(ErrorCode::kUnavailable, "the job is not running"));
      }
      RequestCheckpoint(client);
      return std::nullopt;
    default:
      return ErrorReply(MakeError(ErrorCode::kNotSupported, "this keeper does not know the request"));
  }
}

// One that waits for no answer adds nothing to another such one, unless that is in a checkpoint already.
bool Keeper::IsAwaited(const std::string& client) const {
  const auto later = askers_.begin() + static_cast<std::ptrdiff_t>(std::min(asked_in_time_, askers_.size()));
  return client.empty() && std::find(later, askers_.end(), client) != askers_.end();
}

void Keeper::ReadPort() {
  for (const JobPort::Request& request : port()->TakeRequests()) {
    if (request.word == "checkpoint" && IsAwaited(request.client)) continue;
    if (request.word == "checkpoint" && askers_.size() < kMostAskers) {
      askers_.push_back(request.client);
    } else if (request.word == "checkpoint") {
      port()->Answer(request.client, "failed too many programs of this job wait for a checkpoint");
    } else if (request.word == "ready") {
      port()->NoteReady();
      port()->Answer(request.client, "ok");
    } else {
      port()->Answer(request.client, fmt::format("failed there is no request '{}'", request.word));
    }
  }
}

Result<> Keeper::OnPort() {
  ReadPort();
  return ServeAskers();
}

// Whoever asks while one is being made is served by that, or else looked after when it is over.
Result<> Keeper::ServeAskers() {
  if (askers_.empty() || checkpointer_ == nullptr || checkpointer_->busy() || root_status_ || init_gone_) return {};
  if (companion_ != nullptr) return companion_->OnProgramAsks();
  StartCheckpoint();
  return {};
}

std::vector<std::string> Keeper::TakeAskers() {
  if (port() == nullptr) return {};
  ReadPort();
  asked_in_time_ = askers_.size();
  return askers_;
}

void Keeper::AnswerAskers(const Result<pb::CheckpointNote>& done) {
  if (port() == nullptr) return;
  const size_t in_time = std::exchange(asked_in_time_, 0);
  const size_t answered = done ? in_time : askers_.size();
  const std::string text =
      done ? port()->StatusText("saved", done->number()) : fmt::format("failed {}", done.error().ToString());
  for (size_t i = 0; i < answered; ++i) port()->Answer(askers_[i], text);
  askers_.erase(askers_.begin(), askers_.begin() + static_cast<std::ptrdiff_t>(answered));
}

void Keeper::RequestCheckpoint(std::optional<ControlServer::ClientId> client) {
  if (checkpointer_->busy()) {
    another_wanted_ = true;
    if (client) waiting_next_.push_back(*client);
    return;
  }
  if (client) waiting_.push_back(*client);
  StartCheckpoint();
}

Result<> Keeper::MakeCheckpoint(Checkpointer::Done done, Checkpointer::After after) {
  if (checkpointer_ == nullptr || root_status_ || init_gone_ || checkpointer_->busy() || checkpointer_->holds()) {
    return MakeError(ErrorCode::kUnavailable, "the job is ending, or a checkpoint is being made");
  }
  const auto conclude = [this, done = std::move(done)](const Result<pb::CheckpointNote>& made) {
    OnCheckpoint(made);
    done(made);
  };
  checkpointer_->Start(conclude, after);
  return {};
}

void Keeper::StartCheckpoint() {
  checkpointer_->Start([this](const Result<pb::CheckpointNote>& done) { OnCheckpoint(done); },
                       Checkpointer::After::kGoOn);
}

void Keeper::ReportOutside(const pb::CheckpointNote& note) {
  for (const std::string& path : note.written_outside()) {
    if (!reported_outside_.insert(path).second) continue;
    std::cerr << "baton: " << path
              << " is written outside the workspace: it is not saved, and stays as it is at a resume (see --keep)\n";
  }
}

bool Keeper::JobHasEnded() {
  if (auto heard = OnCapsule(); !heard) BATON_LOG(kWarn, "{}", heard.error().ToString());
  return root_status_ || init_gone_;
}

void Keeper::OnCheckpoint(const Result<pb::CheckpointNote>& done) {
  pb::ControlReply reply;
  if (done) {
    *reply.mutable_checkpoint() = *done;
    ReportOutside(*done);
    *record().mutable_last_checkpoint() = *done;
    record().set_checkpoints_done(record().checkpoints_done() + 1);
    record().clear_last_checkpoint_error();
    record().clear_last_checkpoint_error_ms();
  } else if (JobHasEnded()) {
    reply = ErrorReply(MakeError(ErrorCode::kUnavailable, "the job has ended"));
  } else {
    reply = ErrorReply(done.error());
    record().set_last_checkpoint_error(done.error().ToString());
    record().set_last_checkpoint_error_ms(WallClockMs());
    BATON_LOG(kWarn, "checkpoint of '{}' failed, the job goes on: {}", record().spec().name(), done.error().ToString());
  }
  if (auto saved = SaveRecord(); !saved) BATON_LOG(kWarn, "{}", saved.error().ToString());
  for (const auto client : std::exchange(waiting_, {})) control_->Reply(client, reply);
  AnswerAskers(done);
  if (!std::exchange(another_wanted_, false)) {
    if (auto served = ServeAskers(); !served) BATON_LOG(kWarn, "{}", served.error().ToString());
    return;
  }
  waiting_ = std::exchange(waiting_next_, {});
  if (root_status_ || init_gone_) {
    const auto ended = ErrorReply(MakeError(ErrorCode::kUnavailable, "the job has ended"));
    for (const auto client : std::exchange(waiting_, {})) control_->Reply(client, ended);
    return;
  }
  StartCheckpoint();
}

void Keeper::FinishLog() {
  // All writers are gone with the capsule: the pipes hold the rest.
  auto finished = log().Drain();
  log().CopyOut(/*flush=*/true);
  if (finished) finished = log().Sync();
  if (!finished) BATON_LOG(kWarn, "the end of the log is missing: {}", finished.error().ToString());
}

// The job is over, whatever the disk says: its exit code is worth more than the record of it.
void Keeper::SaveEnd() {
  record().set_ended_ms(WallClockMs());
  if (auto saved = SaveRecord(); !saved) BATON_LOG(kWarn, "{}", saved.error().ToString());
}

// Nobody can come back to an ended job's private /tmp.
void Keeper::RemoveTmp() {
  const std::string tmp = parts_.paths.tmp_dir(record().spec().name());
  std::error_code error;
  std::filesystem::remove_all(tmp, error);
  if (error) BATON_LOG(kWarn, "{} is left: {}", tmp, error.message());
}

Result<JobEnd> Keeper::Conclude() {
  if (checkpointer_ != nullptr) checkpointer_->Finish();
  // What a capture holds is not gone before it is let go; there is nothing left that could go on.
  if (CaptureHolds()) static_cast<void>(checkpointer_->LetGo());
  BATON_CHECKED(capsule().Kill());
  FinishLog();
  if (!root_status_) {
    record().set_state(pb::RunRecord::FAILED);
    record().set_error("the capsule's init was killed from outside");
    SaveEnd();
    return MakeError(ErrorCode::kUnavailable,
                     "the capsule's init (pid {}) was killed from outside; `baton run --resume {}`",
                     record().init_pid(), record().spec().name());
  }
  RemoveTmp();
  const int exit_code = ExitCodeOf(*root_status_);
  record().set_state(pb::RunRecord::ENDED);
  record().set_exit_code(exit_code);
  SaveEnd();
  return JobEnd{.exit_code = exit_code};
}

}  // namespace baton
