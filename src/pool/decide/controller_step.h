// ControllerStep: one decision of the controller while it is being made. Only for controller*.cc, which hold its parts:
//
//   controller.cc            which event means what; what users ask for
//   controller_reports.cc    what workers say, and what they are told
//   controller_attempts.cc   how attempts begin and end; the queue; drains; silent owners
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "pool/decide/controller_events.h"
#include "pool/decide/controller_state.h"

namespace baton::pool {

class ControllerStep {
 public:
  ControllerStep(ControllerState* state, Instant now, Decision* decision)
      : state_(*state), now_(now), decision_(*decision) {}

  void operator()(const ControllerTick&);
  void operator()(const ReportCame& came);
  void operator()(const SubmitAsked& asked);
  void operator()(const CancelAsked& asked);
  void operator()(const CheckpointAsked& asked);
  void operator()(const MoveAsked& asked);
  void operator()(const DrainAsked& asked);

 private:
  // Rows.
  void Put(const Job& job) { decision_.changes.emplace_back(job); }
  void Put(const Attempt& attempt) { decision_.changes.emplace_back(attempt); }
  void Put(const Worker& worker) { decision_.changes.emplace_back(worker); }
  void Note(const Attempt& attempt, std::string text);
  void NoteJob(const Job& job, std::string text);
  void AnswerOk(uint64_t request, const Job* job);
  void AnswerNo(uint64_t request, AnswerCode code, std::string text);
  // The job, if it is there and not over; else the request was answered.
  Job* FindUnfinished(uint64_t request, uint64_t id);

  // Reports.
  bool MeetWorker(const WorkerReport& report);
  void EndRebooted(const WorkerReport& report);
  void RememberUnits(const WorkerReport& report);
  UnitOrder OrderFor(const WorkerReport& report, const KeeperReport& unit);
  UnitOrder OrderForCurrent(Job& job, Attempt& attempt, const KeeperReport& unit);
  void OrderForAlive(const Job& job, const KeeperReport& unit, UnitOrder* order);
  void NoteProgress(Job& job, Attempt& attempt, const KeeperReport& unit);
  void NoteRequest(Job& job, const KeeperReport& unit);
  bool Accept(Job& job, const CheckpointOffer& offer, uint64_t epoch);
  void DropOld(Job& job);
  void ConcludeStopped(Job& job, const KeeperReport& unit);
  void AddStarts(const WorkerReport& report, WorkerOrders* orders);

  // Attempts.
  // By id; jobs may end while one goes through them.
  std::vector<uint64_t> UnfinishedJobs() const;
  bool IsCurrent(const UnitKey& unit) const;
  bool IsDue(uint64_t job) const { return IsOverdue(job, state_.terms.HandOverAfter()); }
  // Nothing was granted for so long.
  bool IsOverdue(uint64_t job, Span after) const { return now_ >= state_.live.at(job).granted_at + after; }
  void Assign(Job& job, const std::string& worker);
  void CloseAttempt(Attempt& attempt, AttemptEnd end, std::string detail);
  // Closes it, and decides what becomes of the job.
  void EndAttempt(Job& job, AttemptEnd end, const std::string& detail);
  void ConcludeEnded(Job& job, const KeeperReport& unit);
  void CountFailure(Job& job, const Attempt& attempt);
  void Requeue(Job& job, Span wait);
  void FinishJob(Job& job, JobState state, std::string note);
  void Schedule();
  void StartQueued(Job& job);
  void MoveAway();
  void AskToMove(Job& job, const std::string& to);
  void HandOver();
  void HandOverJob(Job& job);
  bool SilenceIsMass();
  bool MayHandOver();

  ControllerState& state_;
  Instant now_;
  Decision& decision_;
};

}  // namespace baton::pool
