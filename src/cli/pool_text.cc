#include "cli/pool_text.h"

#include <algorithm>
#include <chrono>
#include <optional>

#include "base/file.h"
#include "cli/run_json.h"
#include "pool/keeper/unit_files.pb.h"
#include "pool/wire/pool_store.h"

namespace baton {
namespace {

using std::chrono::milliseconds;

constexpr double kMilli = 1'000;

std::string UnitStateText(pb::UnitState state) {
  switch (state) {
    case pb::PREPARING:
      return "preparing";
    case pb::RUNNING:
      return "running";
    case pb::FROZEN:
      return "paused";
    case pb::STOPPED:
      return "stopped";
    default:
      return "ending";
  }
}

std::string OrDash(const std::string& text) { return text.empty() ? "-" : text; }

std::string MsText(uint64_t ms) { return FormatDuration(milliseconds(static_cast<int64_t>(ms))); }

nlohmann::json OrNull(bool there, const nlohmann::json& value) { return there ? value : nlohmann::json(); }

std::string CommandOf(const pb::ShowJobReply& shown) {
  pb::SubmittedJob submitted;
  pb::PoolJob job;
  if (!submitted.ParseFromString(shown.spec()) || !job.ParseFromString(submitted.job())) return "?";
  return CommandText(job.spec());
}

uint64_t FrozenMs(const pb::ShowJobReply& shown) {
  uint64_t frozen_ms = 0;
  for (const auto& attempt : shown.attempts()) frozen_ms += attempt.frozen_ms();
  return frozen_ms;
}

// How it began, as long as the store has it.
std::optional<pb::AttemptStart> StartOf(const pb::ShowJobReply& shown, const pb::AttemptInfo& attempt) {
  const auto bytes =
      ReadFile(PoolStore(shown.store_dir()).attempt_start({.job = shown.job().id(), .epoch = attempt.epoch()}));
  pb::AttemptStart start;
  if (!bytes || !start.ParseFromString(*bytes)) return std::nullopt;
  return start;
}

nlohmann::json AttemptJson(const pb::ShowJobReply& shown, const pb::AttemptInfo& attempt) {
  const auto start = StartOf(shown, attempt);
  return {{"epoch", attempt.epoch()},
          {"worker", attempt.worker()},
          {"state", attempt.state()},
          {"detail", OrNull(!attempt.detail().empty(), attempt.detail())},
          {"resumed_from", OrNull(attempt.has_resumed_from(), CheckpointName(attempt.resumed_from()))},
          {"fetch_ms", OrNull(start.has_value(), start ? start->fetch_ms() : 0)},
          {"restore_ms", OrNull(start.has_value(), start ? start->restore_ms() : 0)},
          {"frozen_ms", attempt.frozen_ms()},
          {"created_ms", attempt.created_ms()},
          {"changed_ms", attempt.changed_ms()}};
}

nlohmann::json CheckpointJson(const pb::CheckpointInfo& checkpoint) {
  return {{"checkpoint", CheckpointName(checkpoint.id())},
          {"bytes", checkpoint.bytes()},
          {"pause_ms", checkpoint.pause_ms()},
          {"total_ms", checkpoint.total_ms()},
          {"created_ms", checkpoint.created_ms()},
          {"removed", checkpoint.dropped()}};
}

std::string AttemptTable(const pb::ShowJobReply& shown) {
  std::vector<std::vector<std::string>> rows;
  for (const auto& attempt : shown.attempts()) {
    const bool open = attempt.state() == "running" || attempt.state() == "assigned";
    rows.push_back({std::to_string(attempt.epoch()), attempt.worker(),
                    attempt.has_resumed_from() ? CheckpointName(attempt.resumed_from()) : "-",
                    FormatTime(attempt.created_ms()), open ? "-" : FormatTime(attempt.changed_ms()),
                    MsText(attempt.frozen_ms()),
                    attempt.detail().empty() ? attempt.state() : attempt.state() + ": " + attempt.detail()});
  }
  return FormatTable({"ATTEMPT", "WORKER", "FROM", "BEGAN", "ENDED", "PAUSED", "STATE"}, rows);
}

std::string CheckpointTable(const pb::ShowJobReply& shown) {
  std::vector<std::vector<std::string>> rows;
  for (const auto& checkpoint : shown.checkpoints()) {
    rows.push_back({CheckpointName(checkpoint.id()), FormatTime(checkpoint.created_ms()),
                    FormatBytes(checkpoint.bytes()), MsText(checkpoint.pause_ms()), MsText(checkpoint.total_ms()),
                    checkpoint.dropped() ? "removed" : "kept"});
  }
  return FormatTable({"CHECKPOINT", "MADE", "SIZE", "PAUSE", "DURATION", ""}, rows);
}

std::string HistoryTable(const pb::ShowJobReply& shown) {
  std::vector<std::vector<std::string>> rows;
  for (const auto& line : shown.history()) {
    rows.push_back({FormatTime(line.at_ms()), line.epoch() == 0 ? "-" : std::to_string(line.epoch()),
                    OrDash(line.worker()), line.text()});
  }
  return FormatTable({"TIME", "ATTEMPT", "WORKER", "WHAT"}, rows);
}

}  // namespace

std::string CheckpointName(const pb::CheckpointId& id) { return fmt::format("{}.{}", id.epoch(), id.number()); }

std::string JobStateText(const pb::JobInfo& job) {
  switch (job.state()) {
    case pb::JOB_QUEUED:
      return "queued";
    case pb::JOB_ACTIVE:
      return UnitStateText(job.unit());
    case pb::JOB_ENDED:
      return "ended";
    case pb::JOB_FAILED:
      return "failed";
    case pb::JOB_CANCELLED:
      return "cancelled";
    default:
      return "?";
  }
}

nlohmann::json JobJson(const pb::JobInfo& job) {
  return {{"job", job.id()},
          {"name", job.name()},
          {"state", JobStateText(job)},
          {"exit_code", OrNull(job.state() == pb::JOB_ENDED, job.exit_code())},
          {"worker", OrNull(!job.worker().empty(), job.worker())},
          {"attempt", job.epoch()},
          {"note", OrNull(!job.note().empty(), job.note())},
          {"cpus", job.cpus_milli() / kMilli},
          {"memory_bytes", job.memory_bytes()},
          {"created_ms", job.created_ms()},
          {"changed_ms", job.changed_ms()}};
}

nlohmann::json JobJson(const pb::ShowJobReply& shown) {
  nlohmann::json json = JobJson(shown.job());
  json["command"] = CommandOf(shown);
  json["frozen_ms"] = FrozenMs(shown);
  json["result"] = OrNull(!shown.job().result().empty(), shown.job().result());
  json["attempts"] = nlohmann::json::array();
  for (const auto& attempt : shown.attempts()) json["attempts"].push_back(AttemptJson(shown, attempt));
  json["checkpoints"] = nlohmann::json::array();
  for (const auto& checkpoint : shown.checkpoints()) json["checkpoints"].push_back(CheckpointJson(checkpoint));
  json["history"] = nlohmann::json::array();
  for (const auto& line : shown.history()) {
    json["history"].push_back({{"at_ms", line.at_ms()},
                               {"attempt", line.epoch()},
                               {"worker", OrNull(!line.worker().empty(), line.worker())},
                               {"text", line.text()}});
  }
  return json;
}

nlohmann::json WorkerJson(const pb::WorkerInfo& worker) {
  return {{"worker", worker.id()},
          {"present", worker.present()},
          {"draining", worker.draining() || worker.leaving()},
          {"cpus", worker.cpus_milli() / kMilli},
          {"memory_bytes", worker.memory_bytes()},
          {"free_cpus", static_cast<double>(worker.free_cpus_milli()) / kMilli},
          {"free_memory_bytes", worker.free_memory_bytes()},
          {"units", worker.units()}};
}

std::string JobTable(const pb::ListJobsReply& jobs) {
  std::vector<std::vector<std::string>> rows;
  for (const auto& job : jobs.jobs()) {
    rows.push_back({std::to_string(job.id()), job.name(), JobStateText(job),
                    job.state() == pb::JOB_ENDED ? std::to_string(job.exit_code()) : "-", OrDash(job.worker()),
                    std::to_string(job.epoch()), FormatTime(job.created_ms()), OrDash(job.note())});
  }
  return FormatTable({"JOB", "NAME", "STATE", "EXIT", "WORKER", "ATTEMPT", "SUBMITTED", "NOTE"}, rows);
}

std::string WorkerTable(const pb::ListWorkersReply& workers) {
  std::vector<std::vector<std::string>> rows;
  for (const auto& worker : workers.workers()) {
    const auto bytes = [](auto value) { return FormatBytes(static_cast<uint64_t>(std::max<int64_t>(value, 0))); };
    rows.push_back({worker.id(),
                    !worker.present()   ? "silent"
                    : worker.draining() ? "draining"
                    : worker.leaving()  ? "leaving"
                                        : "ready",
                    std::to_string(worker.units()),
                    fmt::format("{:g} of {:g}", static_cast<double>(worker.free_cpus_milli()) / kMilli,
                                worker.cpus_milli() / kMilli),
                    fmt::format("{} of {}", bytes(worker.free_memory_bytes()), FormatBytes(worker.memory_bytes()))});
  }
  return FormatTable({"WORKER", "STATE", "UNITS", "FREE CPUS", "FREE MEMORY"}, rows);
}

std::string JobText(const pb::ShowJobReply& shown) {
  const pb::JobInfo& job = shown.job();
  std::string text;
  const auto line = [&text](std::string_view key, const std::string& value) {
    if (!value.empty()) text += fmt::format("{:<12} {}\n", key, value);
  };
  line("job", std::to_string(job.id()));
  line("name", job.name());
  line("state", JobStateText(job) + (job.cancel_wanted() ? ", to be cancelled" : ""));
  if (job.state() == pb::JOB_ENDED) line("exit code", std::to_string(job.exit_code()));
  line("note", job.note());
  line("command", CommandOf(shown));
  line("worker", job.worker());
  line("moves to", job.move_to());
  line("needs", fmt::format("{:g} processors, {}", job.cpus_milli() / kMilli, FormatBytes(job.memory_bytes())));
  line("submitted", FormatTime(job.created_ms()));
  line("paused", MsText(FrozenMs(shown)));
  line("result", job.result());
  if (shown.attempts_size() > 0) text += "\n" + AttemptTable(shown);
  if (shown.checkpoints_size() > 0) text += "\n" + CheckpointTable(shown);
  return text + "\n" + HistoryTable(shown);
}

}  // namespace baton
