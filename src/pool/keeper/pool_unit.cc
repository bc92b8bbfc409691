#include "pool/keeper/pool_unit.h"

#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/file.h"
#include "base/log.h"
#include "keeper/checkpoint_record.h"
#include "keeper/processes_below.h"
#include "pool/decide/controller_state.h"
#include "pool/keeper/saved_tree.h"
#include "pool/wire/convert.h"
#include "pool/wire/packet.h"
#include "store/directory_store.h"
#include "thread/background.h"

namespace baton {
namespace {

constexpr pool::Span kConnectEvery(200);

pool::UnitKey KeyOf(const pb::UnitStart& start) { return {.job = start.unit().job(), .epoch = start.unit().epoch()}; }

}  // namespace

PoolUnit::PoolUnit(const UnitFiles& files, pb::UnitStart start, pool::KeeperState state, BootTimer timer)
    : store_(start.store_dir()),
      start_(std::move(start)),
      state_(std::move(state)),
      timer_(std::move(timer)),
      created_at_(BootNow()),
      renew_(files.directory()) {}

Result<std::unique_ptr<PoolUnit>> PoolUnit::Create(const UnitFiles& files, const pb::UnitStart& start,
                                                   std::optional<UniqueFd> renewal) {
  BATON_TRY(BootTimer timer, BootTimer::Create());
  const auto every = pool::Span(static_cast<int64_t>(start.job().spec().every_ms()));
  const auto until = pool::Instant(static_cast<int64_t>(start.granted_until_ms()));
  pool::LeaseTerms terms;
  if (start.frozen_max_ms() > 0) terms.frozen_max = pool::Span(static_cast<int64_t>(start.frozen_max_ms()));
  auto state = pool::MakeKeeper(KeyOf(start), terms, every, until, BootNow());
  std::unique_ptr<PoolUnit> unit(new PoolUnit(files, start, std::move(state), std::move(timer)));
  if (renewal) unit->renew_.Adopt(std::move(*renewal));
  return unit;
}

Result<> PoolUnit::Attach(EventLoop* loop) {
  loop_ = loop;
  loop_->Watch(timer_.fd(), POLLIN, [this](short) { return OnTimer(); });
  renew_.Attach(loop_, [this](const pb::ToKeeper& message) { return OnMessage(message, /*direct=*/true); });
  if (socket_) {
    loop_->Watch(socket_->get(), POLLIN, [this](short) { return OnSocket(); });
    return {};
  }
  return Connect();
}

void PoolUnit::Detach() {
  hold_.reset();
  renew_.Detach();
  keeper_ = nullptr;
  loop_ = nullptr;
}

Result<> PoolUnit::AwaitStart(Keeper& keeper, const std::optional<ResumePoint>& from) {
  keeper_ = &keeper;
  BATON_CHECKED(Attach(&keeper.loop()));
  std::optional<pool::CheckpointRef> ref;
  if (from) {
    const auto found = std::ranges::find_if(start_.resume_from(), [&](const pb::CheckpointId& id) {
      return id.number() == from->number && UnitName({.job = start_.unit().job(), .epoch = id.epoch()}) == from->name;
    });
    if (found != start_.resume_from().end()) ref = {.epoch = found->epoch(), .number = found->number()};
  }
  BATON_CHECKED(NoteStart(from.value_or(ResumePoint())));
  BATON_CHECKED(On(pool::UnitReady{.resumed_from = ref}));
  while (!may_run_ && !over_) BATON_CHECKED(loop_->RunOnce(-1));
  if (over_) return MakeError(ErrorCode::kUnavailable, "{}", killed_why_);
  return {};
}

void PoolUnit::OnFetched() { fetched_at_ = BootNow(); }

bool PoolUnit::MayRun() const { return may_run_ && BootNow() < state_.lease_end; }

// What is not in the catalogue yet may be all that there is of it; with as many as the catalogue keeps older ones are
// of no use.
uint64_t PoolUnit::KeepCheckpointsFrom() const {
  return accepted_.size() < pool::ControllerLimits().checkpoints_kept ? 0 : *accepted_.begin();
}

// So that a reader of the log knows how much of what an older attempt wrote is void.
Result<> PoolUnit::NoteStart(const ResumePoint& from) const {
  pb::AttemptStart note;
  if (fetched_at_) {
    note.set_fetch_ms(static_cast<uint64_t>((*fetched_at_ - created_at_).count()));
    note.set_restore_ms(static_cast<uint64_t>((BootNow() - *fetched_at_).count()));
  }
  note.set_number(from.number);
  if (const auto origin = ParseUnitName(from.name)) note.set_epoch(origin->epoch);
  note.set_bytes(from.log_bytes);
  return WriteFileDurably(store_.attempt_start(KeyOf(start_)), note.SerializeAsString());
}

Result<> PoolUnit::While(std::function<Result<>()> work) {
  EventLoop loop;
  BATON_TRY(Background background, Background::Create());
  BATON_CHECKED(Attach(&loop));
  std::optional<Result<>> outcome;
  background.Start(std::move(work));
  loop.Watch(background.event_fd(), POLLIN, [&](short) -> Result<> {
    outcome = background.Take();
    return {};
  });
  Result<> ran;
  while (ran && !outcome && !over_) ran = loop.RunOnce(-1);
  if (!outcome) outcome = background.Take();
  Detach();
  BATON_CHECKED(ran);
  if (over_) return MakeError(ErrorCode::kUnavailable, "{}", killed_why_);
  return *outcome;
}

Result<> PoolUnit::Conclude(const pb::UnitReport& end) {
  EventLoop loop;
  BATON_CHECKED(Attach(&loop));
  BATON_CHECKED(On(pool::UnitEnded{.exit_code = end.exit_code(), .result = end.result()}));
  Result<> ran;
  while (ran && !over_) ran = loop.RunOnce(-1);
  Detach();
  return ran;
}

Result<> PoolUnit::On(const pool::KeeperEvent& event) {
  for (const pool::KeeperAction& action : pool::Decide(state_, event, BootNow())) BATON_CHECKED(CarryOut(action));
  return ArmTimer();
}

Result<> PoolUnit::CarryOut(const pool::KeeperAction& action) {
  if (const auto* send = std::get_if<pool::SendKeeperReport>(&action)) return Tell(*send);
  if (std::holds_alternative<pool::FreezeUnit>(action)) return Freeze();
  if (const auto* make = std::get_if<pool::MakeCheckpoint>(&action)) return Checkpoint(make->final);
  if (const auto* kill = std::get_if<pool::KillUnit>(&action)) return Kill(kill->why);
  if (std::holds_alternative<pool::Leave>(action)) {
    over_ = true;
    return {};
  }
  return Run();
}

// A final checkpoint holds it until it has failed.
Result<> PoolUnit::Run() {
  may_run_ = true;
  if (hold_ != nullptr) loop_->Unwatch(hold_->event_fd());
  hold_.reset();
  if (keeper_ == nullptr || !keeper_->CaptureHolds() || final_under_way_) return {};
  return keeper_->EndCaptureHold();
}

Result<> PoolUnit::Tell(const pool::SendKeeperReport& send) {
  if (!socket_ && !send.direct) return {};
  pb::FromKeeper message;
  *message.mutable_report()->mutable_report() = ToWire(send.report);
  message.mutable_report()->set_sent_at_ms(static_cast<uint64_t>(send.sent_at.count()));
  // One that does not read is as good as gone; it is found out by its silence.
  const auto sent = send.direct ? renew_.Send(message) : SendPacket(socket_->get(), message);
  if (!sent) BATON_LOG(kInfo, "a report is not sent: {}", sent.error().ToString());
  return {};
}

// Without a keeper the program has ended.
Result<> PoolUnit::Freeze() {
  may_run_ = false;
  if (keeper_ == nullptr || keeper_->CaptureHolds()) return On(pool::UnitFrozen{});
  BATON_TRY(hold_, UnitHold::Begin(keeper_->capsule().init_pid()));
  loop_->Watch(hold_->event_fd(), POLLIN, [this](short) { return OnHold(); });
  return {};
}

Result<> PoolUnit::OnHold() {
  loop_->Unwatch(hold_->event_fd());
  const auto stopped = hold_->stopped();
  if (!stopped) return {};
  if (*stopped) return On(pool::UnitFrozen{});
  // A unit that ended meanwhile does not run, either.
  if (keeper_->JobHasEnded()) return {};
  return Kill("it cannot be frozen: " + stopped->error().ToString());
}

// The kernel ends it with its init. Whoever waits for the end of it is the keeper, when it sees that.
Result<> PoolUnit::Kill(const std::string& why) {
  BATON_LOG(kInfo, "unit {} ends: {}", UnitName(KeyOf(start_)), why);
  may_run_ = false;
  over_ = true;
  killed_why_ = why;
  if (keeper_ == nullptr) return {};
  // First what stands still, so that it takes no step more when it is let go; that has to be before it can be gone.
  const pid_t init_pid = keeper_->capsule().init_pid();
  if (init_pid > 0) KillBelow(init_pid);
  if (init_pid > 0) kill(init_pid, SIGKILL);
  if (hold_ != nullptr) loop_->Unwatch(hold_->event_fd());
  hold_.reset();
  return {};
}

Result<> PoolUnit::Checkpoint(bool final) {
  if (keeper_ == nullptr) return On(pool::CheckpointFailed{.why = "the job has ended"});
  final_under_way_ = final;
  auto begun = keeper_->MakeCheckpoint([this](const Result<pb::CheckpointNote>& made) { OnCheckpoint(made); },
                                       final ? Checkpointer::After::kHold : Checkpointer::After::kGoOn);
  if (begun) return {};
  return OnFailed(begun.error());
}

void PoolUnit::OnCheckpoint(const Result<pb::CheckpointNote>& made) {
  const auto reported = made ? OnMade(*made) : OnFailed(made.error());
  if (!reported) BATON_LOG(kError, "{}", reported.error().ToString());
}

Result<> PoolUnit::OnMade(const pb::CheckpointNote& made) {
  // The record has the digests of everything else in the checkpoint.
  const DirectoryStore store(start_.store_dir());
  const auto hash = HashOfFile(JobFile(store.CheckpointPath(UnitName(KeyOf(start_)), made.number())));
  if (!hash) return OnFailed(hash.error());
  constexpr uint64_t kUsPerMs = 1'000;
  return On(pool::CheckpointMade{.offer = {.number = made.number(),
                                           .manifest_hash = *hash,
                                           .bytes = made.bytes(),
                                           .pause = pool::Span(static_cast<int64_t>(made.pause_us() / kUsPerMs)),
                                           .total = pool::Span(static_cast<int64_t>(made.total_us() / kUsPerMs))}});
}

// It goes on, as far as the lease lets it.
Result<> PoolUnit::OnFailed(const Error& why) {
  final_under_way_ = false;
  if (keeper_ != nullptr && keeper_->CaptureHolds() && MayRun()) BATON_CHECKED(keeper_->EndCaptureHold());
  return On(pool::CheckpointFailed{.why = why.ToString()});
}

Result<> PoolUnit::ArmTimer() {
  pool::Instant wake = pool::NextWake(state_);
  if (!socket_) wake = std::min(wake, connect_at_);
  return timer_.SetTo(wake);
}

Result<> PoolUnit::OnTimer() {
  timer_.Acknowledge();
  if (!socket_ && BootNow() >= connect_at_) BATON_CHECKED(Connect());
  return On(pool::KeeperTick{});
}

Result<> PoolUnit::Connect() {
  connect_at_ = BootNow() + kConnectEvery;
  auto socket = ConnectToWorker(start_.worker_socket());
  if (!socket) return ArmTimer();
  pb::FromKeeper hello;
  *hello.mutable_hello()->mutable_unit() = start_.unit();
  if (!SendPacket(socket->get(), hello)) return ArmTimer();
  socket_ = std::move(*socket);
  loop_->Watch(socket_->get(), POLLIN, [this](short) { return OnSocket(); });
  return On(pool::WorkerConnected{});
}

Result<> PoolUnit::Disconnect() {
  loop_->Unwatch(socket_->get());
  socket_.reset();
  connect_at_ = BootNow() + kConnectEvery;
  return On(pool::WorkerDisconnected{});
}

Result<> PoolUnit::OnSocket() {
  while (socket_) {
    auto message = ReceiveToKeeper(socket_->get());
    if (!message) {
      BATON_LOG(kInfo, "the worker: {}", message.error().ToString());
      return Disconnect();
    }
    if (!*message) return {};
    BATON_CHECKED(OnMessage(**message, /*direct=*/false));
  }
  return {};
}

Result<> PoolUnit::OnMessage(const pb::ToKeeper& message, bool direct) {
  if (message.has_heard()) return On(pool::WorkerHeard{});
  if (!message.has_instruction()) return {};
  auto instruction = FromWire(message.instruction());
  if (!instruction) {
    BATON_LOG(kWarn, "an instruction: {}", instruction.error().ToString());
    return {};
  }
  instruction->direct = direct;
  for (const pool::OfferAnswer& answer : instruction->order.answers) {
    if (answer.accepted) accepted_.insert(answer.number);
  }
  while (accepted_.size() > pool::ControllerLimits().checkpoints_kept) accepted_.erase(accepted_.begin());
  return On(*instruction);
}

}  // namespace baton
