// World: a pool under simulated time: one controller with its database, machines with a worker and keepers each, and
// the network between them. All decisions are those of src/pool/decide, unchanged; the world is what surrounds them,
// and it breaks: messages are lost, repeated and late, programs are killed or stand still, machines lose power.
//
// Deterministic: the same seed and the same calls give the same run.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <queue>
#include <random>
#include <set>
#include <string>
#include <tuple>
#include <variant>
#include <vector>

#include "pool/decide/controller.h"
#include "pool/decide/keeper.h"
#include "pool/decide/worker.h"

namespace baton::pool::sim {

using TimeUs = int64_t;  // of the world; no program sees it
constexpr TimeUs kMs = 1'000;
constexpr TimeUs kSecond = 1'000'000;

struct NetworkFaults {
  double loss = 0;
  double repeat = 0;
  double late = 0;  // up to `late_by`
  TimeUs late_by = 0;
};

class World {
 public:
  struct Options {
    uint64_t seed = 1;
    size_t machines = 3;
    uint32_t cpus = 2;
    double clock_error = 0;      // how much faster or slower a machine's clock may run
    double failing = 0;          // of checkpoints and of starts
    double crash_at_commit = 0;  // of the controller, before or after a commit
    bool rows_are_checked = false;
  };
  explicit World(const Options& options);

  // What the test does.
  uint64_t Submit(Job job, Span work, Span every);
  void Ask(const ControllerEvent& event);
  void RunFor(Span span);
  // Until all jobs are over and nothing is left of them; false if that takes longer.
  bool RunUntilDone(Span limit);
  void At(TimeUs time, std::function<void()> what);
  TimeUs now() const { return now_; }
  std::mt19937_64& random() { return random_; }
  bool Chance(double probability);
  TimeUs Between(TimeUs low, TimeUs high);

  // What breaks.
  void SetNetwork(const NetworkFaults& faults) { network_ = faults; }
  // What is on its way still arrives.
  void CutOff(size_t machine, bool out, bool in);
  void CutOff(size_t machine, bool cut) { CutOff(machine, cut, cut); }
  void KillController();
  void StartController();
  void PauseController(TimeUs until);
  void KillWorker(size_t machine);
  void StartWorker(size_t machine);
  void PauseWorker(size_t machine, TimeUs until);
  void KillMachine(size_t machine);
  void BootMachine(size_t machine);
  bool MachineIsUp(size_t machine) const { return machines_[machine].up; }
  bool WorkerIsUp(size_t machine) const { return machines_[machine].worker.has_value(); }
  bool ControllerIsUp() const { return controller_.has_value(); }
  // Of those that live, the n-th (modulo their number); false if there is none.
  bool KillKeeper(size_t nth);
  // The keeper stands still and its unit runs on: the one case in which two owners may run.
  bool PauseKeeper(size_t nth, TimeUs until);
  void NoMoreCrashes();

  // What one sees.
  const Job& JobRow(uint64_t id) const { return jobs_.at(id); }
  const std::map<uint64_t, Job>& job_rows() const { return jobs_; }
  const Attempt& AttemptRow(uint64_t job) const { return attempts_.at(job).rbegin()->second; }
  const std::map<uint64_t, Attempt>& Attempts(uint64_t job) const { return attempts_.at(job); }
  size_t UnitsRunning(uint64_t job) const;
  // When the current attempt began to run; absent: not yet.
  TimeUs last_start(uint64_t job) const { return last_start_.at(job); }
  // What must never be; the first such thing. Empty: all is well.
  const std::string& failure() const { return failure_; }
  const std::vector<std::string>& history() const { return history_; }

  static std::string WorkerName(size_t machine) { return "w" + std::to_string(machine); }

 private:
  struct Program {
    Span work{0};
    Span every{0};
  };
  struct Keeper {
    KeeperState state;
    size_t machine = 0;
    Program program;
    bool unit_runs = false;
    bool permitted = false;  // the last of RunUnit and FreezeUnit
    bool captured = false;   // held by a capture
    bool final = false;
    bool exempt = false;  // was paused: may run beside another one
    TimeUs paused_until = 0;
    TimeUs counted_until = 0;
    TimeUs done_us = 0;    // progress of the program
    uint64_t life = 0;     // counts changes of unit_runs: old plans are void
    TimeUs woken_at = -1;  // a tick is planned for then
  };
  struct Machine {
    bool up = true;
    bool cut_out = false;  // nothing it sends arrives
    bool cut_in = false;   // nothing arrives there
    uint64_t boot = 1;
    double rate = 1;
    int64_t offset_us = 0;
    uint64_t incarnation = 0;                             // on disk
    std::map<UnitKey, std::optional<KeeperReport>> disk;  // units; how they ended
    std::optional<WorkerState> worker;
    TimeUs worker_paused_until = 0;
    TimeUs worker_woken_at = -1;
    std::map<UnitKey, Keeper> keepers;
    std::set<UnitKey> dying;  // units whose keeper is gone and which are not, yet
  };
  struct Planned {
    TimeUs time;
    uint64_t order;
    std::function<void()> what;
    bool operator>(const Planned& other) const { return std::tie(time, order) > std::tie(other.time, other.order); }
  };

  Instant LocalNow(const Machine& machine) const;
  TimeUs WorldTime(const Machine& machine, Instant instant) const;
  Instant ControllerNow() const { return Span(now_ / kMs); }
  void Step();
  void Fail(std::string why);

  // Network.
  void Transmit(bool lost, const std::function<void()>& deliver);

  // Controller.
  void OnController(ControllerEvent event, std::optional<size_t> machine, std::optional<UnitKey> keeper);
  void Commit(const std::vector<Change>& changes);
  void CheckRow(const Job& job);
  void CheckRow(const Attempt& attempt);
  void CheckRow(const Checkpoint& checkpoint);
  void CheckRow(const Worker& worker);
  void CheckRow(const HistoryLine& line);
  void CarryOut(const ControllerAction& action, std::optional<size_t> machine, std::optional<UnitKey> keeper);
  void CheckRows();
  std::vector<Change> Rows() const;
  void ControllerTicks(uint64_t life);

  // Worker.
  void OnWorker(size_t machine, WorkerEvent event);
  void CarryOut(size_t machine, const WorkerAction& action);
  void WakeWorker(size_t machine);
  void Connect(size_t machine, UnitKey unit);

  // Keeper.
  Keeper* Find(size_t machine, UnitKey unit);
  void OnKeeper(size_t machine, UnitKey unit, KeeperEvent event);
  void CarryOut(size_t machine, UnitKey unit, const KeeperAction& action);
  void WakeKeeper(size_t machine, UnitKey unit);
  void StartKeeper(size_t machine, const StartOrder& order, Instant granted_until);
  void Prepare(size_t machine, const StartOrder& order);
  void EndKeeper(size_t machine, UnitKey unit, const std::string& why);
  void Settle(size_t machine, UnitKey unit);
  void Count(Keeper& keeper) const;
  void CheckAlone(size_t machine, UnitKey unit);
  void MakeCheckpoint(size_t machine, UnitKey unit, uint64_t number, bool final);
  void FinishCheckpoint(size_t machine, UnitKey unit, uint64_t number, TimeUs captured_us);
  void EndProgram(size_t machine, UnitKey unit, uint64_t life);
  std::optional<std::pair<size_t, UnitKey>> NthKeeper(size_t nth);
  bool Done() const;

  Options options_;
  std::mt19937_64 random_;
  TimeUs now_ = 0;
  uint64_t planned_ = 0;
  std::priority_queue<Planned, std::vector<Planned>, std::greater<>> plan_;
  NetworkFaults network_;
  std::vector<Machine> machines_;
  std::optional<ControllerState> controller_;
  uint64_t controller_life_ = 0;
  TimeUs controller_paused_until_ = 0;
  std::map<uint64_t, Program> programs_;
  std::map<std::tuple<uint64_t, uint64_t, uint64_t>, TimeUs> store_;  // job, epoch, number: progress
  // The database.
  std::map<uint64_t, Job> jobs_;
  std::map<uint64_t, std::map<uint64_t, Attempt>> attempts_;
  std::map<uint64_t, std::map<CheckpointRef, Checkpoint>> checkpoints_;
  std::map<std::string, Worker> workers_;
  std::map<uint64_t, TimeUs> last_start_;
  std::vector<std::string> history_;
  std::string failure_;
};

}  // namespace baton::pool::sim
