#include "pool/decide/controller.h"

#include <fmt/format.h>

#include <utility>

#include "pool/decide/controller_step.h"
#include "pool/decide/placement.h"

namespace baton::pool {

void ControllerStep::Note(const Attempt& attempt, std::string text) {
  decision_.changes.emplace_back(HistoryLine{
      .job = attempt.unit.job, .epoch = attempt.unit.epoch, .worker = attempt.worker, .text = std::move(text)});
}

void ControllerStep::NoteJob(const Job& job, std::string text) {
  decision_.changes.emplace_back(HistoryLine{.job = job.id, .epoch = job.epoch, .worker = {}, .text = std::move(text)});
}

void ControllerStep::AnswerOk(uint64_t request, const Job* job) {
  Answer answer{.request = request};
  if (job != nullptr) {
    answer.job = job->id;
    answer.number = job->request;
  }
  decision_.actions.emplace_back(std::move(answer));
}

void ControllerStep::AnswerNo(uint64_t request, AnswerCode code, std::string text) {
  decision_.actions.emplace_back(Answer{.request = request, .code = code, .text = std::move(text)});
}

Job* ControllerStep::FindUnfinished(uint64_t request, uint64_t id) {
  const auto found = state_.jobs.find(id);
  if (found == state_.jobs.end()) {
    AnswerNo(request, AnswerCode::kNotFound, fmt::format("there is no job {}", id));
    return nullptr;
  }
  if (IsOver(found->second.state)) {
    AnswerNo(request, AnswerCode::kRefused, fmt::format("job {} is over", id));
    return nullptr;
  }
  return &found->second;
}

void ControllerStep::operator()(const ControllerTick&) {
  HandOver();
  Schedule();
}

void ControllerStep::operator()(const SubmitAsked& asked) {
  Job job = asked.job;
  job.id = state_.next_job++;
  state_.live[job.id].not_before = now_;
  const Job& kept = state_.jobs.emplace(job.id, std::move(job)).first->second;
  Put(kept);
  NoteJob(kept, "submitted");
  Schedule();
  AnswerOk(asked.request, &kept);
}

void ControllerStep::operator()(const CancelAsked& asked) {
  Job* job = FindUnfinished(asked.request, asked.job);
  if (job == nullptr) return;
  if (!job->cancel_wanted) {
    job->cancel_wanted = true;
    NoteJob(*job, "cancel asked for");
    // A unit that may still run is ended first.
    if (job->state == JobState::kQueued) {
      FinishJob(*job, JobState::kCancelled, "");
    } else {
      Put(*job);
    }
  }
  AnswerOk(asked.request, job);
}

void ControllerStep::operator()(const CheckpointAsked& asked) {
  Job* job = FindUnfinished(asked.request, asked.job);
  if (job == nullptr) return;
  if (job->state == JobState::kQueued) {
    return AnswerNo(asked.request, AnswerCode::kRefused, fmt::format("job {} is not running", job->id));
  }
  ++job->request;
  Put(*job);
  AnswerOk(asked.request, job);
}

void ControllerStep::operator()(const MoveAsked& asked) {
  Job* job = FindUnfinished(asked.request, asked.job);
  if (job == nullptr) return;
  const auto refuse = [&](std::string text) { AnswerNo(asked.request, AnswerCode::kRefused, std::move(text)); };
  if (job->state == JobState::kQueued) return refuse(fmt::format("job {} is not running", job->id));
  if (job->move_wanted) return refuse(fmt::format("job {} is being moved to {}", job->id, job->move_to));
  const std::string& from = state_.attempts.at(job->id).worker;
  if (!asked.to.empty() && !state_.workers.contains(asked.to)) {
    return AnswerNo(asked.request, AnswerCode::kNotFound, fmt::format("there is no worker {}", asked.to));
  }
  if (asked.to == from) return refuse(fmt::format("job {} is on {} already", job->id, from));
  if (!asked.to.empty() && !Fits(state_, *job, asked.to, now_)) {
    return refuse(fmt::format("{} has no room for job {}, or takes no jobs now", asked.to, job->id));
  }
  const auto to = asked.to.empty() ? Place(state_, *job, from, now_) : asked.to;
  if (!to) return refuse(fmt::format("no other worker has room for job {} now", job->id));
  AskToMove(*job, *to);
  AnswerOk(asked.request, job);
}

void ControllerStep::operator()(const DrainAsked& asked) {
  const auto found = state_.workers.find(asked.worker);
  if (found == state_.workers.end()) {
    return AnswerNo(asked.request, AnswerCode::kNotFound, fmt::format("there is no worker {}", asked.worker));
  }
  if (found->second.draining != asked.drain) {
    found->second.draining = asked.drain;
    Put(found->second);
    decision_.changes.emplace_back(
        HistoryLine{.worker = asked.worker, .text = asked.drain ? "is being drained" : "takes jobs again"});
  }
  Schedule();
  AnswerOk(asked.request, nullptr);
}

Decision Decide(ControllerState& state, const ControllerEvent& event, Instant now) {
  Decision decision;
  ControllerStep step(&state, now, &decision);
  std::visit(step, event);
  return decision;
}

}  // namespace baton::pool
