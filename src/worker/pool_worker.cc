#include "worker/pool_worker.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <utility>

#include "base/file.h"
#include "base/log.h"
#include "keeper/process_id.h"
#include "keeper/run_record.h"
#include "pool/wire/convert.h"
#include "pool/wire/packet.h"
#include "proc/status.h"
#include "worker/launch_keeper.h"
#include "worker/worker_identity.pb.h"

namespace baton {
namespace {

using pool::UnitKey;

Result<UniqueFd> TakeLock(const std::string& path) {
  BATON_TRY(UniqueFd file, OpenFile(path, O_RDWR | O_CREAT, 0600));
  const int locked = flock(file.get(), LOCK_EX | LOCK_NB);
  const int error = errno;
  if (locked != 0 && error == EWOULDBLOCK) {
    return MakeError(ErrorCode::kConflict, "{} is held: another worker runs here", path);
  }
  if (locked != 0) return ErrnoError(error, "lock {}", path);
  return file;
}

// Keepers that are other users' have to reach what is theirs; nobody may look around.
Result<> LetThrough(const std::string& directory) {
  const std::string state_dir = std::filesystem::path(directory).parent_path();
  for (const std::string& path : {state_dir, directory, directory + "/units", directory + "/keepers"}) {
    constexpr mode_t kOnlyThrough = 0711;
    const int opened = chmod(path.c_str(), kOnlyThrough);
    if (const int error = errno; opened != 0) return ErrnoError(error, "open {} for going through", path);
  }
  return {};
}

// One start more than the last time.
Result<pb::WorkerIdentityRecord> NextIdentity(const WorkerOptions& options) {
  const std::string path = options.directory + "/identity";
  pb::WorkerIdentityRecord identity;
  auto bytes = ReadFile(path);
  if (bytes && !identity.ParseFromString(*bytes)) return MakeError(ErrorCode::kCorrupt, "{} is damaged", path);
  if (!bytes && bytes.error().code() != ErrorCode::kNotFound) return bytes.Fail();
  if (identity.name().empty()) identity.set_name(options.name);
  identity.set_incarnation(identity.incarnation() + 1);
  BATON_CHECKED(WriteFileDurably(path, identity.SerializeAsString()));
  return identity;
}

// Nothing if it is not there any more.
std::optional<UniqueFd> OpenProcess(pid_t pid, uint64_t start_time) {
  const int raw = static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
  if (raw < 0) return std::nullopt;
  UniqueFd process(raw);
  // The descriptor is of this very process from here on, if it is the right one now.
  if (!ProcessLives({.pid = pid, .start_time = start_time})) return std::nullopt;
  return process;
}

// Root's worker starts nothing as root: as who submitted it, or not at all. Anybody else's starts all as itself.
Result<> ReadJob(const std::string& spec, pb::UnitStart* start) {
  pb::SubmittedJob submitted;
  if (!submitted.ParseFromString(spec) || !start->mutable_job()->ParseFromString(submitted.job())) {
    return MakeError(ErrorCode::kCorrupt, "the job's description is damaged");
  }
  if (!submitted.input().empty() && !IsInputName(submitted.input())) {
    return MakeError(ErrorCode::kCorrupt, "the job's input has a bad name");
  }
  start->set_input(submitted.input());
  if (geteuid() != 0) return {};
  if (!submitted.has_user()) {
    return MakeError(ErrorCode::kInvalidArgument, "this worker is root's, and it is not known who submitted the job");
  }
  if (submitted.user() == 0) {
    return MakeError(ErrorCode::kInvalidArgument,
                     "this worker is root's, and runs no job as root: submit it as an ordinary user (or --user)");
  }
  start->set_user(submitted.user());
  return {};
}

UnitKey KeyOf(const pb::Unit& unit) { return {.job = unit.job(), .epoch = unit.epoch()}; }

// The keeper's process, if it lives and is of this boot.
std::optional<UniqueFd> LivingKeeper(const UnitFiles& files, const std::string& boot_id, pid_t* pid) {
  const auto keeper = files.LoadKeeper();
  if (!keeper || keeper->boot_id() != boot_id) return std::nullopt;
  *pid = keeper->pid();
  return OpenProcess(keeper->pid(), keeper->start_time());
}

// The capsule's init of a unit, if it lives. Its record is the user's: what is another's process is not taken for it.
std::optional<UniqueFd> LivingInit(const UnitFiles& files, const UnitKey& unit, const std::string& boot_id,
                                   uid_t user) {
  const auto paths = StatePaths::Find(files.state_dir());
  if (!paths) return std::nullopt;
  const auto record = LoadRunRecord(*paths, UnitName(unit));
  if (!record || record->boot_id() != boot_id) return std::nullopt;
  auto process = OpenProcess(record->init_pid(), record->init_start_time());
  if (!process || user == geteuid()) return process;
  const auto text = ReadFile(fmt::format("/proc/{}/status", record->init_pid()));
  const auto status = text ? ParseStatus(*text) : Result<ProcStatus>(std::unexpected(text.error()));
  if (!status || status->uid[0] != user) return std::nullopt;
  return process;
}

}  // namespace

PoolWorker::PoolWorker(WorkerOptions options, UniqueFd lock, BootTimer timer, pool::WorkerState state,
                       std::unique_ptr<ReportSender> sender)
    : options_(std::move(options)),
      lock_(std::move(lock)),
      timer_(std::move(timer)),
      state_(std::move(state)),
      sender_(std::move(sender)) {}

PoolWorker::~PoolWorker() = default;

Result<std::unique_ptr<PoolWorker>> PoolWorker::Open(const WorkerOptions& options) {
  BATON_CHECKED(MakeDirectories(options.directory + "/units"));
  BATON_CHECKED(MakeDirectories(options.directory + "/keepers"));
  if (geteuid() == 0) BATON_CHECKED(LetThrough(options.directory));
  BATON_TRY(UniqueFd lock, TakeLock(options.directory + "/lock"));
  BATON_TRY(const pb::WorkerIdentityRecord identity, NextIdentity(options));
  BATON_TRY(const std::string boot_id, BootId());
  BATON_TRY(const auto units, ListUnits(options.directory + "/units"));
  BATON_TRY(const Endpoint endpoint, Endpoint::Parse(options.controller));
  std::string token;
  if (!options.token_file.empty()) {
    BATON_TRY(token, ReadToken(options.token_file));
  }
  BATON_TRY(auto sender, ReportSender::Create(RpcClient::Create(endpoint, token)));
  BATON_TRY(BootTimer timer, BootTimer::Create());
  // All units are taken for alive here; those that are not are found out right below.
  std::vector<pool::KeeperReport> known;
  for (const UnitKey& unit : units) known.push_back({.unit = unit, .state = pool::UnitState::kPreparing});
  auto state = pool::MakeWorker(
      {.id = identity.name(), .incarnation = identity.incarnation(), .boot_id = boot_id, .capacity = options.capacity},
      {}, known, BootNow());
  std::unique_ptr<PoolWorker> worker(
      new PoolWorker(options, std::move(lock), std::move(timer), std::move(state), std::move(sender)));
  worker->pool_id_ = identity.pool_id();
  BATON_CHECKED(worker->ListenFor(geteuid()));
  for (const UnitKey& unit : units) {
    pid_t pid = 0;
    if (const auto keeper = worker->FilesOf(unit).LoadKeeper(); keeper && keeper->has_user()) {
      worker->users_[unit] = keeper->user();
      BATON_CHECKED(worker->ListenFor(keeper->user()));
    }
    const auto keeper = LivingKeeper(worker->FilesOf(unit), boot_id, &pid);
    BATON_CHECKED(keeper ? worker->WatchKeeper(unit, pid) : worker->OnKeeperGone(unit));
  }
  return worker;
}

Result<> PoolWorker::Run(int stop_fd) {
  bool stop = false;
  loop_.Watch(stop_fd, POLLIN, [&](short) -> Result<> {
    stop = true;
    return {};
  });
  loop_.Watch(sender_->event_fd(), POLLIN, [this](short) { return OnAnswer(); });
  loop_.Watch(timer_.fd(), POLLIN, [this](short) -> Result<> {
    timer_.Acknowledge();
    return On(pool::WorkerTick{});
  });
  BATON_CHECKED(On(pool::WorkerTick{}));
  while (!stop) BATON_CHECKED(loop_.RunOnce(-1));
  return {};
}

Result<> PoolWorker::On(const pool::WorkerEvent& event) {
  for (const pool::WorkerAction& action : pool::Decide(state_, event, BootNow())) BATON_CHECKED(CarryOut(action));
  return timer_.SetTo(pool::NextWake(state_));
}

Result<> PoolWorker::CarryOut(const pool::WorkerAction& action) {
  if (const auto* send = std::get_if<pool::SendWorkerReport>(&action)) {
    pb::WorkerReport report = ToWire(send->report);
    report.set_pool_id(pool_id_);
    sender_->Send(std::move(report));
    return {};
  }
  if (const auto* start = std::get_if<pool::StartUnit>(&action)) return Start(*start);
  if (const auto* kill = std::get_if<pool::KillKeeper>(&action)) return Kill(kill->unit);
  if (const auto* instruct = std::get_if<pool::InstructKeeper>(&action)) return Instruct(instruct->instruction);
  if (const auto* forget = std::get_if<pool::ForgetUnit>(&action)) return Forget(forget->unit);
  pb::ToKeeper message;
  message.mutable_heard();
  SendTo(std::get<pool::AcknowledgeKeeper>(action).unit, message);
  return {};
}

Result<> PoolWorker::OnAnswer() {
  auto answer = sender_->Take();
  if (!answer) return {};
  if (!*answer) {
    BATON_LOG(kInfo, "controller: {}", answer->error().ToString());
    return {};
  }
  if (pool_id_.empty()) {
    pool_id_ = (*answer)->pool_id();
    pb::WorkerIdentityRecord identity;
    identity.set_name(state_.id);
    identity.set_incarnation(state_.incarnation);
    identity.set_pool_id(pool_id_);
    if (auto saved = WriteFileDurably(options_.directory + "/identity", identity.SerializeAsString()); !saved) {
      // Taken up with the next answer.
      pool_id_.clear();
      BATON_LOG(kWarn, "{}", saved.error().ToString());
      return {};
    }
  }
  auto orders = FromWire(**answer);
  if (orders) return On(pool::OrdersCame{.orders = std::move(*orders)});
  BATON_LOG(kWarn, "orders: {}", orders.error().ToString());
  return {};
}

// On disk first: whatever happens next, it is never started again.
Result<> PoolWorker::Start(const pool::StartUnit& start) {
  const UnitKey unit = start.order.unit;
  pb::UnitStart record;
  record.set_version(1);
  record.mutable_unit()->set_job(unit.job);
  record.mutable_unit()->set_epoch(unit.epoch);
  for (const pool::CheckpointRef& ref : start.order.resume_from) {
    auto* id = record.add_resume_from();
    id->set_epoch(ref.epoch);
    id->set_number(ref.number);
  }
  record.set_granted_until_ms(static_cast<uint64_t>(start.granted_until.count()));
  record.set_boot_id(state_.boot_id);
  record.set_worker(state_.id);
  record.set_controller(options_.controller);
  record.set_token_file(options_.token_file);
  record.set_pool_id(pool_id_);
  record.set_incarnation(state_.incarnation);
  record.set_store_dir(options_.store_dir);
  record.set_frozen_max_ms(static_cast<uint64_t>(options_.frozen_max.count()));
  const auto readable = ReadJob(start.order.spec, &record);
  if (record.has_user()) users_[unit] = record.user();
  const auto refuse = [&](const Error& why) { return On(pool::UnitNotStarted{.unit = unit, .why = why.ToString()}); };
  auto socket = ListenFor(UserOf(unit));
  if (!socket) return refuse(socket.error());
  record.set_worker_socket(*socket);
  if (!readable) return refuse(readable.error());
  if (auto ours = CheckStore(); !ours) return refuse(ours.error());
  if (auto saved = FilesOf(unit).SaveStart(record); !saved) return refuse(saved.error());
  return Launch(unit);
}

// A directory of that name that is another one (a file system that is not mounted) would be filled in vain.
Result<> PoolWorker::CheckStore() const {
  const std::string mark = PoolStore(options_.store_dir).mark();
  const auto found = ReadFile(mark);
  if (found && *found == pool_id_) return {};
  return MakeError(ErrorCode::kUnavailable, "{} is not the store of this pool ({}): is it mounted?", options_.store_dir,
                   found ? "it has another mark" : found.error().ToString());
}

uid_t PoolWorker::UserOf(const UnitKey& unit) const {
  const auto user = users_.find(unit);
  return user == users_.end() ? geteuid() : user->second;
}

Result<std::string> PoolWorker::ListenFor(uid_t user) {
  std::string path = options_.directory + "/keepers.sock";
  if (user != geteuid()) path = fmt::format("{}/keepers/{}.sock", options_.directory, user);
  if (listeners_.contains(user)) return path;
  BATON_TRY(UniqueFd listener, ListenForKeepers(path, user));
  loop_.Watch(listener.get(), POLLIN, [this, user](short) { return Accept(user); });
  listeners_.emplace(user, std::move(listener));
  return path;
}

Result<> PoolWorker::Launch(const UnitKey& unit) {
  const auto pid = LaunchKeeper(FilesOf(unit));
  if (!pid) return On(pool::UnitNotStarted{.unit = unit, .why = pid.error().ToString()});
  return WatchKeeper(unit, *pid);
}

Result<> PoolWorker::WatchKeeper(const UnitKey& unit, pid_t pid) {
  const int raw = static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
  if (raw < 0) return OnKeeperGone(unit);
  Watched& watched = watched_[unit];
  watched.process.emplace(raw);
  loop_.Watch(raw, POLLIN, [this, unit](short) { return OnKeeperGone(unit); });
  return {};
}

// The kernel kills the unit after its keeper, but not at once.
Result<> PoolWorker::OnKeeperGone(const UnitKey& unit) {
  Watched& watched = watched_[unit];
  if (watched.process) loop_.Unwatch(watched.process->get());
  watched.process.reset();
  auto init = LivingInit(FilesOf(unit), unit, state_.boot_id, UserOf(unit));
  if (!init) return ConcludeUnit(unit);
  watched.process = std::move(init);
  loop_.Watch(watched.process->get(), POLLIN, [this, unit](short) { return OnKeeperGone(unit); });
  return {};
}

Result<> PoolWorker::ConcludeUnit(const UnitKey& unit) {
  watched_.erase(unit);
  std::optional<pool::KeeperReport> ended;
  if (const auto end = FilesOf(unit).LoadEnd()) {
    auto report = FromWire(*end);
    if (report) ended = std::move(*report);
  }
  // The last thing it said is the best there is about why.
  std::string why = LastLine(FilesOf(unit).messages());
  if (why.empty()) why = "its keeper was killed";
  return On(pool::UnitGone{.unit = unit, .why = std::move(why), .ended = std::move(ended)});
}

Result<> PoolWorker::Kill(const UnitKey& unit) {
  const auto watched = watched_.find(unit);
  if (watched == watched_.end() || !watched->second.process) return {};
  // The unit dies with its keeper, by the kernel.
  syscall(SYS_pidfd_send_signal, watched->second.process->get(), SIGKILL, nullptr, 0);
  return {};
}

Result<> PoolWorker::Instruct(const pool::Instruction& instruction) {
  pb::ToKeeper message;
  *message.mutable_instruction() = ToWire(instruction);
  SendTo(instruction.order.unit, message);
  return {};
}

Result<> PoolWorker::Forget(const UnitKey& unit) {
  users_.erase(unit);
  std::error_code error;
  std::filesystem::remove_all(FilesOf(unit).directory(), error);
  if (error) BATON_LOG(kWarn, "{} is left: {}", FilesOf(unit).directory(), error.message());
  return {};
}

void PoolWorker::SendTo(const UnitKey& unit, const pb::ToKeeper& message) {
  const auto found = connected_.find(unit);
  if (found == connected_.end()) return;
  if (auto sent = SendPacket(found->second, message); !sent) {
    BATON_LOG(kDebug, "unit {}: {}", UnitName(unit), sent.error().ToString());
  }
}

Result<> PoolWorker::Accept(uid_t user) {
  BATON_TRY(auto accepted, AcceptKeeper(listeners_.at(user).get(), user));
  if (!accepted) return {};
  const int fd = accepted->get();
  connections_.insert_or_assign(fd, Connection{.fd = std::move(*accepted), .user = user, .unit = {}});
  loop_.Watch(fd, POLLIN, [this, fd](short) { return OnConnection(fd); });
  return {};
}

Result<> PoolWorker::OnConnection(int fd) {
  while (connections_.contains(fd)) {
    auto message = ReceiveFromKeeper(fd);
    if (!message) {
      Drop(fd);
      return {};
    }
    if (!*message) return {};
    BATON_CHECKED(OnMessage(connections_.at(fd), **message));
  }
  return {};
}

Result<> PoolWorker::OnMessage(Connection& connection, const pb::FromKeeper& message) {
  if (message.has_hello()) {
    const UnitKey unit = KeyOf(message.hello().unit());
    if (UserOf(unit) != connection.user) {
      BATON_LOG(kWarn, "unit {} is not user {}'s", UnitName(unit), connection.user);
      return {};
    }
    connection.unit = unit;
    connected_[*connection.unit] = connection.fd.get();
    return {};
  }
  if (!message.has_report() || !connection.unit) return {};
  auto report = FromWire(message.report().report());
  if (!report || report->unit != *connection.unit) {
    BATON_LOG(kWarn, "unit {}: a report that makes no sense", UnitName(*connection.unit));
    return {};
  }
  const auto sent_at = pool::Instant(static_cast<int64_t>(message.report().sent_at_ms()));
  return On(pool::KeeperSaid{.report = std::move(*report), .sent_at = sent_at});
}

void PoolWorker::Drop(int fd) {
  loop_.Unwatch(fd);
  const auto unit = connections_.at(fd).unit;
  if (unit && connected_[*unit] == fd) connected_.erase(*unit);
  connections_.erase(fd);
}

}  // namespace baton
