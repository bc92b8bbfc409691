// PoolUnit: what makes the keeper of `baton run` the keeper of a pool's unit: it watches the lease, tells the worker
// how things are, and makes checkpoints when it is told to. The decisions are those of pool/decide/keeper.h.
//
// Thread-safety: none; it lives in the event loop of the keeper, and after the job's end in one of its own.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "base/boot_timer.h"
#include "base/result.h"
#include "base/unique_fd.h"
#include "keeper/event_loop.h"
#include "keeper/keeper.h"
#include "keeper/run_companion.h"
#include "keeper/unit_hold.h"
#include "pool/decide/keeper.h"
#include "pool/keeper/renew_link.h"
#include "pool/keeper/unit_files.h"
#include "pool/wire/keeper_link.pb.h"
#include "pool/wire/pool_store.h"

namespace baton {

class PoolUnit : public RunCompanion {
 public:
  // `files`: the unit's. `renewal`: what was started to call the controller, if it had to be before.
  static Result<std::unique_ptr<PoolUnit>> Create(const UnitFiles& files, const pb::UnitStart& start,
                                                  std::optional<UniqueFd> renewal);

  void OnFetched() override;
  Result<> AwaitStart(Keeper& keeper, const std::optional<ResumePoint>& from) override;
  bool MayRun() const override;
  Result<> OnHeld() override { return On(pool::KeeperTick{}); }
  Result<> OnProgramAsks() override { return On(pool::ProgramAsks{}); }
  uint64_t KeepCheckpointsFrom() const override;

  // The keeper is gone, the program has ended: does `work` on a helper thread, and keeps the lease meanwhile.
  Result<> While(std::function<Result<>()> work);
  // `end` is on disk. Returns when the controller or the worker know.
  Result<> Conclude(const pb::UnitReport& end);
  // The keeper is about to be gone.
  void Detach();
  // Why it was killed; empty: it was not.
  const std::string& killed_why() const { return killed_why_; }

 private:
  PoolUnit(const UnitFiles& files, pb::UnitStart start, pool::KeeperState state, BootTimer timer);

  Result<> Attach(EventLoop* loop);
  Result<> On(const pool::KeeperEvent& event);
  Result<> CarryOut(const pool::KeeperAction& action);
  Result<> Tell(const pool::SendKeeperReport& send);
  Result<> NoteStart(const ResumePoint& from) const;
  Result<> Freeze();
  Result<> Run();
  Result<> OnHold();
  Result<> Kill(const std::string& why);
  Result<> Checkpoint(bool final);
  void OnCheckpoint(const Result<pb::CheckpointNote>& made);
  Result<> OnMade(const pb::CheckpointNote& made);
  Result<> OnFailed(const Error& why);
  Result<> ArmTimer();
  Result<> OnTimer();
  Result<> Connect();
  Result<> Disconnect();
  Result<> OnSocket();
  Result<> OnMessage(const pb::ToKeeper& message, bool direct);

  const PoolStore store_;
  pb::UnitStart start_;
  pool::KeeperState state_;
  BootTimer timer_;
  EventLoop* loop_ = nullptr;
  Keeper* keeper_ = nullptr;
  std::optional<UniqueFd> socket_;
  pool::Instant connect_at_{0};
  pool::Instant created_at_;
  std::optional<pool::Instant> fetched_at_;
  RenewLink renew_;
  std::unique_ptr<UnitHold> hold_;
  std::set<uint64_t> accepted_;   // our checkpoints that are in the catalogue; the newest of them
  bool final_under_way_ = false;  // a checkpoint with which the unit stops
  std::atomic<bool> may_run_ = false;
  bool over_ = false;
  std::string killed_why_;
};

}  // namespace baton
