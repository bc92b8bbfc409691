#include "store/directory_store.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <optional>

#include "base/check.h"

namespace baton {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPrefix = "checkpoint-";

// The number in "checkpoint-000012"; none for any other name.
std::optional<uint64_t> NumberOf(std::string_view name) {
  if (!name.starts_with(kPrefix)) return std::nullopt;
  name.remove_prefix(kPrefix.size());
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
  if (error != std::errc() || end != name.data() + name.size()) return std::nullopt;
  return number;
}

Result<std::vector<std::string>> Names(const std::string& directory) {
  std::vector<std::string> names;
  std::error_code error;
  fs::directory_iterator entries(directory, error);
  if (error == std::errc::no_such_file_or_directory) return names;
  if (error) return ErrnoError(error.value(), "list {}", directory);
  for (const fs::directory_entry& entry : entries) names.push_back(entry.path().filename());
  return names;
}

// Left by a writer or remover that died.
bool IsLeftOver(const std::string& directory, std::string_view name) {
  constexpr std::string_view kPartial = ".partial";
  if (!name.starts_with(kPrefix)) return false;
  if (name.ends_with(".removing")) return true;
  if (!name.ends_with(kPartial)) return false;
  const std::string_view whole = name.substr(0, name.size() - kPartial.size());
  const auto state = StateOfDirectory(directory + "/" + std::string(whole));
  return state && *state == DirectoryState::kAbandoned;
}

}  // namespace

Result<std::vector<uint64_t>> DirectoryStore::List(const std::string& job) const {
  BATON_TRY(const std::vector<std::string> names, Names(JobPath(job)));
  std::vector<uint64_t> numbers;
  for (const std::string& name : names) {
    if (const auto number = NumberOf(name)) numbers.push_back(*number);
  }
  std::ranges::sort(numbers);
  return numbers;
}

std::string DirectoryStore::CheckpointPath(const std::string& job, uint64_t number) const {
  return fmt::format("{}/{}{:06}", JobPath(job), kPrefix, number);
}

std::string DirectoryStore::ObjectsPath(const std::string& job) const { return JobPath(job) + "/objects"; }

Result<PendingDirectory> DirectoryStore::Begin(const std::string& job, uint64_t number) const {
  return PendingDirectory::Create(CheckpointPath(job, number));
}

Result<std::vector<uint64_t>> DirectoryStore::KeepNewest(const std::string& job, size_t count) const {
  BATON_CHECK(count > 0);
  BATON_TRY(std::vector<uint64_t> numbers, List(job));
  while (numbers.size() > count) {
    BATON_CHECKED(RemoveDirectory(CheckpointPath(job, numbers.front())));
    numbers.erase(numbers.begin());
  }
  BATON_CHECKED(RemoveLeftOver(job));
  return numbers;
}

Result<std::vector<uint64_t>> DirectoryStore::KeepFrom(const std::string& job, uint64_t number) const {
  BATON_TRY(std::vector<uint64_t> numbers, List(job));
  while (!numbers.empty() && numbers.front() < number) {
    BATON_CHECKED(RemoveDirectory(CheckpointPath(job, numbers.front())));
    numbers.erase(numbers.begin());
  }
  BATON_CHECKED(RemoveLeftOver(job));
  return numbers;
}

Result<> DirectoryStore::RemoveLeftOver(const std::string& job) const {
  BATON_TRY(const std::vector<std::string> names, Names(JobPath(job)));
  for (const std::string& name : names) {
    if (!IsLeftOver(JobPath(job), name)) continue;
    std::error_code error;
    fs::remove_all(JobPath(job) + "/" + name, error);
    if (error) return ErrnoError(error.value(), "remove {}/{}", JobPath(job), name);
  }
  return {};
}

}  // namespace baton
