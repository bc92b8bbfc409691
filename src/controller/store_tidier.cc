#include "controller/store_tidier.h"

#include <chrono>
#include <filesystem>
#include <optional>
#include <utility>
#include <vector>

#include "base/log.h"

namespace baton {
namespace {

namespace fs = std::filesystem;

// An input whose submission never came is removed after so long.
constexpr std::chrono::hours kInputPatience(24);

std::vector<fs::path> EntriesOf(const std::string& directory) {
  std::vector<fs::path> entries;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(directory, error)) entries.push_back(entry.path());
  if (error && error != std::errc::no_such_file_or_directory) BATON_LOG(kWarn, "{}: {}", directory, error.message());
  return entries;
}

void Remove(const fs::path& path) {
  std::error_code error;
  fs::remove_all(path, error);
  if (error) BATON_LOG(kWarn, "{} is left: {}", path.string(), error.message());
}

// "1.2.start" and "1.2.partial" belong to unit 1.2.
std::optional<pool::UnitKey> UnitOf(const fs::path& path, std::string_view prefix) {
  std::string name = path.filename().string();
  if (!name.starts_with(prefix)) return std::nullopt;
  name.erase(0, prefix.size());
  for (const std::string_view ending : {".start", ".partial", ".removing"}) {
    if (name.ends_with(ending)) name.resize(name.size() - ending.size());
  }
  return ParseUnitName(name);
}

void TidyUnits(const std::string& directory, std::string_view prefix, const std::set<pool::UnitKey>& needed,
               const std::map<uint64_t, uint64_t>& newest) {
  for (const fs::path& path : EntriesOf(directory)) {
    const auto unit = UnitOf(path, prefix);
    if (!unit || needed.contains(*unit)) continue;
    const auto known = newest.find(unit->job);
    if (known != newest.end() && unit->epoch <= known->second) Remove(path);
  }
}

void TidyInputs(const std::string& directory, const std::set<std::string>& needed) {
  const auto oldest = fs::file_time_type::clock::now() - kInputPatience;
  for (const fs::path& path : EntriesOf(directory)) {
    if (needed.contains(path.filename().string())) continue;
    std::error_code error;
    const auto changed = fs::last_write_time(path, error);
    if (!error && changed < oldest) Remove(path);
  }
}

}  // namespace

StoreTidier::StoreTidier(std::string store_dir, std::function<StoreNeeds()> needs)
    : store_(std::move(store_dir)),
      needs_(std::move(needs)),
      thread_([this](const std::stop_token& stop) { Serve(stop); }) {}

StoreTidier::~StoreTidier() { thread_.request_stop(); }

void StoreTidier::Wake() {
  {
    const std::lock_guard lock(mutex_);
    woken_ = true;
  }
  wanted_.notify_one();
}

void StoreTidier::TidyOnce() {
  const StoreNeeds needs = needs_();
  TidyUnits(store_.root(), "", needs.checkpoints, needs.newest);
  TidyUnits(store_.root(), ".lock-", needs.checkpoints, needs.newest);
  TidyUnits(store_.logs(), "", needs.logs, needs.newest);
  TidyUnits(store_.results(), "", needs.results, needs.newest);
  TidyInputs(store_.inputs(), needs.inputs);
}

void StoreTidier::Serve(const std::stop_token& stop) {
  constexpr std::chrono::seconds kEvery(60);
  std::unique_lock lock(mutex_);
  while (!stop.stop_requested()) {
    woken_ = false;
    lock.unlock();
    TidyOnce();
    lock.lock();
    wanted_.wait_for(lock, stop, kEvery, [this] { return woken_; });
  }
}

}  // namespace baton
