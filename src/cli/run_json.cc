#include "cli/run_json.h"

#include <algorithm>
#include <cctype>
#include <string>
#include <string_view>

#include "keeper/run_record.h"

namespace baton {
namespace {

std::string Quoted(const std::string& word) {
  const bool plain = !word.empty() && std::ranges::all_of(word, [](unsigned char c) {
    return std::isalnum(c) != 0 || std::string_view("-_./:=,+@%").find(static_cast<char>(c)) != std::string_view::npos;
  });
  if (plain) return word;
  std::string quoted = "'";
  for (const char c : word) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

nlohmann::json OrNull(bool applies, nlohmann::json value) { return applies ? std::move(value) : nlohmann::json(); }

}  // namespace

std::string CommandText(const pb::JobSpec& spec) {
  std::string text;
  for (const std::string& word : spec.argv()) text += (text.empty() ? "" : " ") + Quoted(word);
  return text;
}

nlohmann::json CheckpointJson(const pb::CheckpointNote& note) {
  return {{"number", note.number()},
          {"taken_ms", note.taken_ms()},
          {"pause_us", note.pause_us()},
          {"total_us", note.total_us()},
          {"bytes", note.bytes()},
          {"memory_bytes", note.memory_bytes()},
          {"processes", note.processes()},
          {"threads", note.threads()},
          {"hook_error", note.hook_error()},
          {"written_outside", std::vector<std::string>(note.written_outside().begin(), note.written_outside().end())}};
}

nlohmann::json RunJson(const StatePaths& paths, const pb::RunRecord& record) {
  const pb::JobSpec& spec = record.spec();
  const bool ended = record.state() == pb::RunRecord::ENDED;
  nlohmann::json argv = nlohmann::json::array();
  for (const std::string& word : spec.argv()) argv.push_back(word);
  return {
      {"name", spec.name()},
      {"state", RunStateName(paths, record)},
      {"argv", argv},
      {"cwd", spec.cwd()},
      {"fs", spec.files() == pb::JobSpec::HOST ? "host" : "work"},
      {"attempt", record.attempt()},
      {"resumed_from", OrNull(record.resumed_from() != 0, record.resumed_from())},
      {"keeper_pid", record.keeper_pid()},
      {"job_pid", OrNull(record.job_pid() != 0, record.job_pid())},
      {"exit_code", OrNull(ended, record.exit_code())},
      {"error", OrNull(!record.error().empty(), record.error())},
      {"created_ms", record.created_ms()},
      {"attempt_started_ms", record.attempt_started_ms()},
      {"ended_ms", OrNull(record.ended_ms() != 0, record.ended_ms())},
      {"output", record.output_path()},
      {"store", record.store_dir()},
      {"every_ms", OrNull(spec.every_ms() != 0, spec.every_ms())},
      {"checkpoints_done", record.checkpoints_done()},
      {"last_checkpoint", OrNull(record.has_last_checkpoint(), CheckpointJson(record.last_checkpoint()))},
      {"last_checkpoint_error", OrNull(!record.last_checkpoint_error().empty(), record.last_checkpoint_error())},
  };
}

}  // namespace baton
