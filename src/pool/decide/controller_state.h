// What the controller knows. What must survive it is in rows (Job, Attempt, Checkpoint, Worker), each with a change
// that puts it into the database; the rest is about now, and comes back with the next reports of the workers.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "pool/decide/messages.h"
#include "pool/decide/terms.h"

namespace baton::pool {

struct JobNeeds {
  uint32_t cpus_milli = 1'000;
  uint64_t memory_bytes = uint64_t{1} << 30;
  bool operator==(const JobNeeds&) const = default;
};

struct RetryPolicy {
  // How often a job that ended with an exit code other than 0 is tried again.
  uint32_t retries = 0;
  // So many attempts in a row may be killed or refused without a new checkpoint; then the job has failed.
  uint32_t max_failures = 8;
  // The first failure in a row is followed by a new attempt at once, the second after `backoff`, then twice that ...
  Span backoff{1'000};
  Span backoff_max{60'000};
  bool operator==(const RetryPolicy&) const = default;
};

enum class JobState { kQueued, kActive, kEnded, kFailed, kCancelled };

constexpr bool IsOver(JobState state) { return state != JobState::kQueued && state != JobState::kActive; }

struct Job {
  uint64_t id = 0;
  std::string name = {};
  JobNeeds needs = {};
  RetryPolicy retry = {};
  std::string spec = {};  // what to run; for the worker
  JobState state = JobState::kQueued;
  uint64_t epoch = 0;  // of the newest attempt; 0: none yet
  bool cancel_wanted = false;
  // A move: the unit is told to stop with a checkpoint, and the next attempt is to be there, if it can. `move_wanted`
  // until the unit has stopped; `move_to` until the next attempt.
  bool move_wanted = false;
  std::string move_to = {};
  // Requests for checkpoints are counted.
  uint64_t request = 0;
  uint64_t request_done = 0;
  std::string request_error = {};
  uint32_t retries_used = 0;
  // In a row, without a checkpoint in between; of these, from the same point.
  uint32_t failures = 0;
  uint32_t stuck = 0;
  // Only checkpoints older than this are used: those from here on failed again and again.
  std::optional<CheckpointRef> resume_below = {};
  int exit_code = 0;        // kEnded
  std::string result = {};  // kEnded: hash
  uint64_t result_epoch = 0;
  std::string note = {};  // kFailed: why

  bool operator==(const Job&) const = default;
};

enum class AttemptState { kAssigned, kRunning, kOver };
enum class AttemptEnd { kNone, kEnded, kDied, kRefused, kRebooted, kMoved, kLost, kCancelled };

struct Attempt {
  UnitKey unit;
  std::string worker = {};
  std::string boot_id = {};  // of the worker's machine when it was assigned
  AttemptState state = AttemptState::kAssigned;
  AttemptEnd end = AttemptEnd::kNone;
  std::optional<CheckpointRef> resumed_from = {};  // known from kRunning on
  int exit_code = 0;
  std::string detail = {};
  Span frozen{0};

  bool operator==(const Attempt&) const = default;
};

struct Checkpoint {
  uint64_t job = 0;
  CheckpointRef ref;
  std::string manifest_hash = {};
  uint64_t bytes = 0;
  Span pause{0};
  Span total{0};
  bool dropped = false;

  bool operator==(const Checkpoint&) const = default;
};

struct Worker {
  std::string id;
  uint64_t incarnation = 0;
  std::string boot_id = {};
  bool draining = false;

  bool operator==(const Worker&) const = default;
};

// Something for people to read: the line of time of a job.
struct HistoryLine {
  uint64_t job = 0;         // 0: none
  uint64_t epoch = 0;       // 0: none
  std::string worker = {};  // empty: none
  std::string text;
};

// A row as it is now.
using Change = std::variant<Job, Attempt, Checkpoint, Worker, HistoryLine>;

struct ControllerLimits {
  // Kept of each job.
  size_t checkpoints_kept = 3;
  // When at least so many workers with jobs, and at least so many percent of all, are silent at once, it is the
  // network: then a second look is taken after `second_look`, and no more than one job is handed over in each
  // `mass_pace`.
  size_t mass_workers = 3;
  size_t mass_percent = 50;
  Span second_look{10'000};
  Span mass_pace{1'000};
};

struct ControllerState {
  // What is about now.
  struct Live {
    Instant granted_at{0};  // the last time anything was granted to the current unit
    Instant not_before{0};  // kQueued: back-off
    UnitState unit = UnitState::kPreparing;
    std::string checkpoint_error = {};  // of the unit's last one
    std::set<std::string> avoid = {};   // workers that refused it
  };
  struct LiveWorker {
    std::optional<Instant> seen_at = {};  // its last full report
    uint64_t sequence = 0;
    Capacity capacity = {};
    bool leaving = false;
    std::map<UnitKey, UnitState> units = {};  // all that is there, old ones too
  };

  LeaseTerms terms;
  ControllerLimits limits;
  // Rows.
  std::map<uint64_t, Job> jobs;
  std::map<uint64_t, Attempt> attempts;                                 // by job; the newest of each
  std::map<uint64_t, std::map<CheckpointRef, Checkpoint>> checkpoints;  // those not dropped
  std::map<std::string, Worker> workers;
  // Now.
  std::map<uint64_t, Live> live;  // by job, those that are not over
  std::map<std::string, LiveWorker> live_workers;
  uint64_t next_job = 1;
  Instant started_at{0};
  std::optional<Instant> mass_since;  // very many are silent
  Instant mass_next_at{0};
};

// The state after a start. Whatever runs may have been granted a lease until this very moment: so nobody is declared
// dead before that could be over.
ControllerState RecoverController(const LeaseTerms& terms, const ControllerLimits& limits,
                                  const std::vector<Change>& rows, Instant now);

// How long the next attempt waits after so many in a row failed.
Span BackoffAfter(const RetryPolicy& policy, uint32_t failures);

// Those that an attempt may go on from, newest first.
std::vector<CheckpointRef> Candidates(const ControllerState& state, const Job& job);

}  // namespace baton::pool
