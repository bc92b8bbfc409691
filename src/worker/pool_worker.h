// PoolWorker: the decisions of pool/decide/worker.h with keepers, files, a clock and a controller around them.
//
//   STATE/worker/              mode 0700
//     lock                     held (flock) for as long as a daemon uses the rest
//     identity                 name, incarnation and pool (WorkerIdentityRecord)
//     keepers.sock             where keepers connect
//     keepers/UID.sock         where those of another user do, if we are root
//     (docs/decisions/0009-keeper-asks-itself.md) units/JOB.EPOCH/         pool/keeper/unit_files.h
//
// Keepers are no children that end with it: they go on when the daemon is gone, and it finds them again by their files
// and when they connect.
//
// Thread-safety: none; one thread runs it. A helper thread makes the calls to the controller.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/boot_timer.h"
#include "base/result.h"
#include "base/unique_fd.h"
#include "keeper/event_loop.h"
#include "pool/decide/worker.h"
#include "pool/keeper/unit_files.h"
#include "pool/wire/keeper_link.pb.h"
#include "worker/report_sender.h"

namespace baton {

struct WorkerOptions {
  std::string directory;   // STATE/worker, absolute
  std::string name;        // of the first start; the host's by default, kept from then on
  std::string store_dir;   // absolute
  std::string controller;  // an Endpoint
  std::string token_file;
  pool::Capacity capacity;
  pool::Span frozen_max{0};  // of its units (pool/decide/terms.h); 0: the usual time
};

class PoolWorker {
 public:
  static Result<std::unique_ptr<PoolWorker>> Open(const WorkerOptions& options);
  PoolWorker(const PoolWorker&) = delete;
  PoolWorker& operator=(const PoolWorker&) = delete;
  ~PoolWorker();

  // Until `stop_fd` is readable. Keepers go on.
  Result<> Run(int stop_fd);

 private:
  // A process that has to be gone before the unit is: the keeper, then its capsule's init.
  struct Watched {
    std::optional<UniqueFd> process;
    bool keeper_gone = false;
  };
  struct Connection {
    UniqueFd fd;
    uid_t user;
    std::optional<pool::UnitKey> unit;  // known from its hello on
  };

  PoolWorker(WorkerOptions options, UniqueFd lock, BootTimer timer, pool::WorkerState state,
             std::unique_ptr<ReportSender> sender);

  Result<> On(const pool::WorkerEvent& event);
  Result<> CarryOut(const pool::WorkerAction& action);
  Result<> Start(const pool::StartUnit& start);
  Result<> Launch(const pool::UnitKey& unit);
  Result<> Kill(const pool::UnitKey& unit);
  Result<> Instruct(const pool::Instruction& instruction);
  Result<> Forget(const pool::UnitKey& unit);
  Result<> WatchKeeper(const pool::UnitKey& unit, pid_t pid);
  Result<> OnKeeperGone(const pool::UnitKey& unit);
  Result<> ConcludeUnit(const pool::UnitKey& unit);
  Result<> CheckStore() const;
  // Where keepers of that user connect.
  Result<std::string> ListenFor(uid_t user);
  // As whom the unit's keeper runs.
  uid_t UserOf(const pool::UnitKey& unit) const;
  Result<> Accept(uid_t user);
  Result<> OnConnection(int fd);
  Result<> OnMessage(Connection& connection, const pb::FromKeeper& message);
  void Drop(int fd);
  void SendTo(const pool::UnitKey& unit, const pb::ToKeeper& message);
  Result<> OnAnswer();

  UnitFiles FilesOf(const pool::UnitKey& unit) const { return {options_.directory + "/units", unit}; }

  WorkerOptions options_;
  UniqueFd lock_;
  BootTimer timer_;
  pool::WorkerState state_;
  std::unique_ptr<ReportSender> sender_;
  EventLoop loop_;
  std::map<uid_t, UniqueFd> listeners_;
  std::map<pool::UnitKey, uid_t> users_;  // where it is not ours
  std::map<int, Connection> connections_;
  std::map<pool::UnitKey, int> connected_;
  std::map<pool::UnitKey, Watched> watched_;
  std::string pool_id_;
};

}  // namespace baton
