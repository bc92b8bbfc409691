#include "pool/keeper/unit_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include "base/file.h"

namespace baton {
namespace {

template <typename Message>
Result<> Save(const std::string& path, const Message& message) {
  return WriteFileDurably(path, message.SerializeAsString());
}

template <typename Message>
Result<Message> Load(const std::string& path) {
  // Not through links, not without end: it may be another user's.
  constexpr size_t kMostBytes = size_t{32} << 20;
  BATON_TRY(const UniqueFd file, OpenFile(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK));
  BATON_TRY(const std::string bytes, ReadFd(file.get(), kMostBytes));
  Message message;
  if (!message.ParseFromString(bytes)) return MakeError(ErrorCode::kCorrupt, "{} is damaged", path);
  return message;
}

// The directories above stay closed to other users, but for going through.
constexpr mode_t kOnlyThrough = 0711;

Result<> GiveTo(const std::string& path, uid_t user) {
  const int given = lchown(path.c_str(), user, static_cast<gid_t>(-1));
  if (const int error = errno; given != 0) return ErrnoError(error, "give {} to user {}", path, user);
  return {};
}

}  // namespace

Result<> UnitFiles::SaveStart(const pb::UnitStart& start) const {
  BATON_CHECKED(MakeDirectories(own_dir()));
  if (start.has_user()) {
    BATON_CHECKED(GiveTo(own_dir(), start.user()));
    const int opened = chmod(directory_.c_str(), kOnlyThrough);
    if (const int error = errno; opened != 0) return ErrnoError(error, "open {} for going through", directory_);
  }
  BATON_CHECKED(Save(directory_ + "/start", start));
  if (start.has_user()) BATON_CHECKED(GiveTo(directory_ + "/start", start.user()));
  return SyncDirectory(std::filesystem::path(directory_).parent_path());
}
Result<pb::UnitStart> UnitFiles::LoadStart() const { return Load<pb::UnitStart>(directory_ + "/start"); }
Result<> UnitFiles::SaveKeeper(const pb::KeeperProcess& keeper) const { return Save(directory_ + "/keeper", keeper); }
Result<pb::KeeperProcess> UnitFiles::LoadKeeper() const { return Load<pb::KeeperProcess>(directory_ + "/keeper"); }
Result<> UnitFiles::SaveEnd(const pb::UnitReport& end) const { return Save(own_dir() + "/end", end); }
Result<pb::UnitReport> UnitFiles::LoadEnd() const { return Load<pb::UnitReport>(own_dir() + "/end"); }

Result<std::vector<pool::UnitKey>> ListUnits(const std::string& units_dir) {
  std::vector<pool::UnitKey> units;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(units_dir, error)) {
    if (const auto unit = ParseUnitName(entry.path().filename().string())) units.push_back(*unit);
  }
  if (error && error != std::errc::no_such_file_or_directory) return ErrnoError(error.value(), "list {}", units_dir);
  std::ranges::sort(units);
  return units;
}

}  // namespace baton
