// StoreCheckpointer: checkpoints of a job of `baton run` into its store (checkpoint_record.h has the layout).
//
//   what                                                        where            the job
//   a place in the store; the workspace as it is                helper thread    runs
//   stop; log drained; state and memory copied; what changed    tracer thread,   stands still
//   in the workspace since                                      the keeper waits
//   log, image, workspace written; record; commit               helper thread    runs
//
// Thread-safety: as Checkpointer.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "engine/engine.h"
#include "keeper/checkpoint_record.pb.h"
#include "keeper/checkpointer.h"
#include "keeper/keeper.h"
#include "store/directory_store.h"
#include "thread/background.h"
#include "thread/tracer_thread.h"
#include "workspace/workspace.h"

namespace baton {

// What the last checkpoint left, for the next one.
struct CheckpointBase {
  uint64_t number = 0;  // the highest that the store has, good or bad
  pb::LogState log;
  std::optional<pb::WorkspaceManifest> workspace;
};

// Where a job's log is in the store, beside its checkpoints.
std::string LogArchive(const std::string& store_dir, const std::string& job);

class StoreCheckpointer : public Checkpointer {
 public:
  // `keeper` is borrowed and owns the checkpointer.
  static Result<std::unique_ptr<StoreCheckpointer>> Create(Keeper* keeper, const StatePaths& paths,
                                                           CheckpointBase base);
  ~StoreCheckpointer() override;

  bool busy() const override { return current_ != nullptr; }
  void Start(Done done, After after) override;
  bool holds() const override { return held_ != nullptr; }
  Result<> LetGo() override;
  void Finish() override;

 private:
  // A capture, and the thread that made it: for as long as the capture, since what it made to read from dies with it.
  struct Held {
    TracerThread tracer;
    std::unique_ptr<UnitCapture> capture;
  };
  // One checkpoint under way; handed to and fro between the threads.
  struct Current {
    Done done;
    std::chrono::steady_clock::time_point begin = std::chrono::steady_clock::now();
    std::optional<PendingDirectory> place;
    std::unique_ptr<WorkspaceSave> workspace;
    std::optional<pb::WorkspaceManifest> manifest;  // of the finished workspace
    std::shared_ptr<Held> held = std::make_shared<Held>();
    pb::CheckpointRecord record;
    std::set<int> job_pids;  // of the processes that were captured, as we see them
    After after = After::kGoOn;
    std::optional<uint64_t> keep_from = {};  // nothing: the newest ones
    bool stands_still = false;
    std::optional<JobHooks> hooks = {};
    std::optional<Error> failure = {};  // it has failed, and the hook after that is being run
    bool in_section = false;            // the job is kept out of its critical sections
    bool captured = false;
  };

  StoreCheckpointer(Keeper* keeper, StatePaths paths, CheckpointBase base, std::unique_ptr<Engine> engine,
                    Background background);
  Result<> OnBackground();
  Result<> PreCopy(Current& current);
  Result<> Pause(Current& current);
  Result<> NoteStopped(Current& current);
  Result<> NoteCaptured(Current& current);
  Result<> WriteOut(Current& current);
  Result<> WriteImage(Current& current);
  Result<> DropOld(std::optional<uint64_t> keep_from);
  void Conclude(Result<> outcome);
  Result<> KeepOutOfSections(Current& current);
  void LetIntoSections(Current& current);
  Result<> Finished(Result<> outcome);
  void RunAfter(std::string_view word, Current& current);
  void SetStatus(std::string_view word, const Current& current);

  Keeper* keeper_;
  StatePaths paths_;
  CheckpointBase base_;
  std::unique_ptr<Engine> engine_;
  Background background_;
  // Of the keeper's, copied for the helper thread.
  DirectoryStore store_;
  std::string job_;
  std::string store_dir_;
  std::string output_;
  std::optional<WorkspaceOptions> workspace_;
  std::unique_ptr<Current> current_;
  std::shared_ptr<Held> held_;  // by which the job stands still
};

}  // namespace baton
