#include "keeper/run_name.h"

#include <algorithm>
#include <cctype>
#include <filesystem>

namespace baton {
namespace {

Result<> CheckReplaceable(const StatePaths& paths, const std::string& name, bool replace) {
  const auto record = LoadRunRecord(paths, name);
  if (!record || replace || record->state() != pb::RunRecord::RUNNING || record->last_checkpoint().number() == 0) {
    return {};
  }
  return MakeError(
      ErrorCode::kConflict,
      "run '{}' was interrupted and has checkpoint {}: go on with it by `baton run --resume {}`, or start it "
      "over with --replace",
      name, record->last_checkpoint().number(), name);
}

}  // namespace

std::string NameFromProgram(const std::string& program) {
  std::string name = std::filesystem::path(program).filename().string();
  for (char& c : name) {
    if (std::isalnum(static_cast<unsigned char>(c)) == 0 && c != '-' && c != '_' && c != '.') c = '-';
  }
  constexpr size_t kRoomForNumber = 48;
  name.resize(std::min(name.size(), kRoomForNumber));
  while (!name.empty() && name.front() == '.') name.erase(0, 1);
  return name.empty() ? "job" : name;
}

Result<NamedRun> TakeRunName(const StatePaths& paths, const std::string& wanted, const std::string& program,
                             bool replace) {
  if (!wanted.empty()) {
    BATON_CHECKED(CheckRunName(wanted));
    BATON_TRY(RunLock lock, RunLock::Take(paths, wanted));
    BATON_CHECKED(CheckReplaceable(paths, wanted, replace));
    return NamedRun{.name = wanted, .lock = std::move(lock)};
  }
  const std::string base = NameFromProgram(program);
  constexpr int kMostRunsOfOneName = 100'000;
  for (int number = 1; number < kMostRunsOfOneName; ++number) {
    const std::string name = number == 1 ? base : fmt::format("{}-{}", base, number);
    std::error_code ignored;
    if (std::filesystem::exists(paths.run_dir(name), ignored)) continue;
    auto lock = RunLock::Take(paths, name);
    if (lock) return NamedRun{.name = name, .lock = std::move(*lock)};
    if (lock.error().code() != ErrorCode::kConflict) return lock.Fail();
  }
  return MakeError(ErrorCode::kConflict, "no free name like '{}'; give one with --name", base);
}

}  // namespace baton
