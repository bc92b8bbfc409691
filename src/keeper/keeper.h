// Keeper: holds one running job: watches its capsule, keeps its log, answers the control socket, makes its checkpoints
// on time, hands signals on, and says how it ended. It is the heart of `baton run`, in the foreground, with no daemon.
//
// Invariants
//  1. One thread (the one that made the capsule) runs the loop and does all ptrace. Helper threads are made only after
//     the capsule's init was forked.
//  2. The record on disk is never ahead of what happened: a checkpoint is noted after its commit.
//  3. Whatever fails in a checkpoint, the job goes on.
//
// Thread-safety: none. Ownership: owns capsule, log, lock and control socket; all end with it.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "capsule/capsule.h"
#include "keeper/checkpointer.h"
#include "keeper/control_socket.h"
#include "keeper/event_loop.h"
#include "keeper/job_hooks.h"
#include "keeper/job_log.h"
#include "keeper/job_port.h"
#include "keeper/paths.h"
#include "keeper/run_companion.h"
#include "keeper/run_record.h"
#include "keeper/shared_memory_dir.h"
#include "store/job_lock.h"

namespace baton {

// How a job ended, as the shell sees it.
struct JobEnd {
  int exit_code = 0;      // the job's; 128 + n after signal n; 126, 127 if it could not be started
  std::string note = {};  // for the user, if there is something to say
};

// The exit code a shell would show for a wait(2) status: 128 + n after signal n.
int ExitCodeOf(int wait_status);

// SIGINT, SIGTERM, SIGHUP and SIGQUIT as a descriptor; they are blocked from here on, SIGPIPE is ignored, SIGCHLD is
// not.
Result<UniqueFd> TakeSignals();

class Keeper {
 public:
  struct Parts {
    StatePaths paths;
    RunLock lock;
    JobLock store_lock;
    UniqueFd signals;
    pb::RunRecord record;  // as saved
    JobLog log;
    std::optional<JobPort> port;
    std::optional<SharedMemoryDir> shared_memory;  // the record's; outlives the capsule
    Capsule capsule;
  };

  // Listens on the control socket and watches everything. The job need not run yet.
  static Result<std::unique_ptr<Keeper>> Create(Parts parts);
  Keeper(const Keeper&) = delete;
  Keeper& operator=(const Keeper&) = delete;
  ~Keeper();

  Capsule& capsule() { return parts_.capsule; }
  JobLog& log() { return parts_.log; }
  pb::RunRecord& record() { return parts_.record; }
  EventLoop& loop() { return loop_; }

  // Without one, checkpoints are refused. `every_ms` > 0: also by the clock.
  Result<> UseCheckpointer(std::unique_ptr<Checkpointer> checkpointer, uint64_t every_ms);
  // Whether the job's first process has ended; also where the loop has not heard of it yet.
  bool JobHasEnded();
  // Writes the record as it is now.
  Result<> SaveRecord() { return SaveRunRecord(parts_.paths, parts_.record); }

  // Makes one now; `done` is called from the loop. kUnavailable if one is being made, or the job is ending.
  Result<> MakeCheckpoint(Checkpointer::Done done, Checkpointer::After after = Checkpointer::After::kGoOn);
  // Whether a capture holds the job (Checkpointer).
  bool CaptureHolds() const { return checkpointer_ != nullptr && checkpointer_->holds(); }
  Result<> EndCaptureHold() { return checkpointer_->LetGo(); }

  // nullptr: it has none.
  const JobPort* port() const { return parts_.port ? &*parts_.port : nullptr; }
  // Programs of the job that wait for a checkpoint, by their sockets in the port; as far as they asked by now, they are
  // answered with the outcome of the one under way. From its thread, while the keeper waits.
  std::vector<std::string> TakeAskers();

  JobHooks hooks() const { return {parts_.record, port(), parts_.capsule.root_ns_pid()}; }

  // Who says whether the job may run; borrowed, none at first.
  void UseCompanion(RunCompanion* companion) { companion_ = companion; }
  RunCompanion* companion() const { return companion_; }

  // Until the job has ended and nothing is left of it. The end is in the record then.
  Result<JobEnd> Run();

 private:
  explicit Keeper(Parts parts) : parts_(std::move(parts)) {}

  std::optional<pb::ControlReply> OnControl(ControlServer::ClientId client, const pb::ControlRequest& request);
  Result<> OnSignal();
  Result<> OnCapsule();
  void OnExit(const CapsuleEvent& event);
  Result<> OnTimer();
  Result<> OnPort();
  void ReadPort();
  bool IsAwaited(const std::string& client) const;
  Result<> ServeAskers();
  void AnswerAskers(const Result<pb::CheckpointNote>& done);
  void PumpLog(size_t index);
  void WatchLog();
  Result<> RunOnce();
  void RequestCheckpoint(std::optional<ControlServer::ClientId> client);
  void StartCheckpoint();
  void ReportOutside(const pb::CheckpointNote& note);
  void OnCheckpoint(const Result<pb::CheckpointNote>& done);
  void FinishLog();
  void SaveEnd();
  void RemoveTmp();
  Result<JobEnd> Conclude();

  Parts parts_;
  EventLoop loop_;
  std::unique_ptr<ControlServer> control_;
  std::unique_ptr<Checkpointer> checkpointer_;
  RunCompanion* companion_ = nullptr;
  std::optional<UniqueFd> timer_;
  std::vector<ControlServer::ClientId> waiting_;       // for the checkpoint being made
  std::vector<ControlServer::ClientId> waiting_next_;  // for the one after it
  bool another_wanted_ = false;
  std::vector<std::string>
      askers_;  // programs of the job; the first `asked_in_time_` stand still in the one being made
  size_t asked_in_time_ = 0;
  bool interrupted_ = false;  // one signal was handed on already
  bool init_gone_ = false;
  std::optional<int> root_status_;
  std::set<std::string> reported_outside_;
  bool log_stuck_ = false;  // it could not be written to; nothing is read from the job meanwhile
};

}  // namespace baton
