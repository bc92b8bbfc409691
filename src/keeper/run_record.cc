#include "keeper/run_record.h"

#include <fcntl.h>
#include <sys/file.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <string_view>

#include "base/file.h"

namespace baton {
namespace {

constexpr std::string_view kMagic = "BATONRUN";

uint64_t Hash(std::string_view bytes) {
  uint64_t hash = 0xcbf29ce484222325;
  for (const char c : bytes) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return hash;
}

std::string HashBytes(std::string_view bytes) {
  const uint64_t hash = Hash(bytes);
  std::string text(sizeof(hash), '\0');
  for (size_t i = 0; i < text.size(); ++i) text[i] = static_cast<char>(hash >> (8 * i));
  return text;
}

}  // namespace

Result<RunLock> RunLock::Take(const StatePaths& paths, const std::string& name) {
  BATON_CHECKED(MakeDirectories(paths.run_dir(name)));
  BATON_TRY(UniqueFd file, OpenFile(paths.lock(name), O_RDWR | O_CREAT, 0600));
  const int locked = flock(file.get(), LOCK_EX | LOCK_NB);
  const int error = errno;
  if (locked == 0) return RunLock(std::move(file));
  if (error != EWOULDBLOCK) return ErrnoError(error, "lock {}", paths.lock(name));
  const auto record = LoadRunRecord(paths, name);
  return MakeError(ErrorCode::kConflict, "run '{}' is running{}; see `baton show {}`", name,
                   record ? fmt::format(" (keeper {})", record->keeper_pid()) : "", name);
}

bool RunLock::IsHeld(const StatePaths& paths, const std::string& name) {
  const auto file = OpenFile(paths.lock(name), O_RDWR);
  if (!file) return false;
  // A shared try: two who only ask do not see each other.
  return flock(file->get(), LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
}

std::string EncodeRunRecord(const pb::RunRecord& record) {
  const std::string payload = record.SerializeAsString();
  return std::string(kMagic) + HashBytes(payload) + payload;
}

Result<pb::RunRecord> DecodeRunRecord(const std::string& bytes) {
  const size_t header = kMagic.size() + sizeof(uint64_t);
  if (bytes.size() < header || !bytes.starts_with(kMagic)) {
    return MakeError(ErrorCode::kCorrupt, "not a run's record");
  }
  const std::string_view payload = std::string_view(bytes).substr(header);
  if (bytes.compare(kMagic.size(), sizeof(uint64_t), HashBytes(payload)) != 0) {
    return MakeError(ErrorCode::kCorrupt, "the run's record is damaged (checksum)");
  }
  pb::RunRecord record;
  if (!record.ParseFromArray(payload.data(), static_cast<int>(payload.size()))) {
    return MakeError(ErrorCode::kCorrupt, "the run's record is damaged");
  }
  if (record.version() != 1) {
    return MakeError(ErrorCode::kNotSupported, "the run's record has version {}; this Baton knows 1", record.version());
  }
  return record;
}

Result<> SaveRunRecord(const StatePaths& paths, const pb::RunRecord& record) {
  const std::string& name = record.spec().name();
  if (auto saved = WriteFileDurably(paths.record(name), EncodeRunRecord(record)); !saved) {
    return saved.Fail("record of run '{}'", name);
  }
  return {};
}

Result<pb::RunRecord> LoadRunRecord(const StatePaths& paths, const std::string& name) {
  auto bytes = ReadFile(paths.record(name));
  if (!bytes && bytes.error().code() == ErrorCode::kNotFound) {
    return MakeError(ErrorCode::kNotFound, "there is no run named '{}' in {} (`baton ps` lists them)", name,
                     paths.state_dir());
  }
  if (!bytes) return bytes.Fail();
  auto record = DecodeRunRecord(*bytes);
  if (!record) return record.Fail("{}", paths.record(name));
  return record;
}

Result<std::vector<std::string>> ListRuns(const StatePaths& paths) {
  std::vector<std::string> names;
  std::error_code error;
  std::filesystem::directory_iterator entry(paths.runs_dir(), error);
  if (error.value() == ENOENT) return names;
  if (error) return ErrnoError(error.value(), "list {}", paths.runs_dir());
  for (; entry != std::filesystem::directory_iterator(); entry.increment(error)) {
    if (error) return ErrnoError(error.value(), "list {}", paths.runs_dir());
    std::error_code ignored;
    if (std::filesystem::exists(entry->path() / "record", ignored)) names.push_back(entry->path().filename().string());
  }
  std::ranges::sort(names);
  return names;
}

std::string RunStateName(const StatePaths& paths, const pb::RunRecord& record) {
  switch (record.state()) {
    case pb::RunRecord::RUNNING:
      return RunLock::IsHeld(paths, record.spec().name()) ? "running" : "interrupted";
    case pb::RunRecord::ENDED:
      return "ended";
    case pb::RunRecord::FAILED:
      return "failed";
    default:
      return "unknown";
  }
}

}  // namespace baton
