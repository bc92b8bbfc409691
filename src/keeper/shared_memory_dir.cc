#include "keeper/shared_memory_dir.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <optional>

#include "base/file.h"
#include "base/log.h"

namespace baton {
namespace {

namespace fs = std::filesystem;

// Nothing where somebody else holds it, or it is gone.
std::optional<UniqueFd> TryLock(const std::string& path) {
  auto directory = OpenFile(path, O_RDONLY | O_DIRECTORY);
  if (!directory || flock(directory->get(), LOCK_EX | LOCK_NB) != 0) return std::nullopt;
  return std::move(*directory);
}

// In a directory with the sticky bit that is ours, we may remove whatever others have left.
void Remove(const std::string& path) {
  std::error_code error;
  fs::remove_all(path, error);
  if (error) BATON_LOG(kWarn, "{} is left: {}", path, error.message());
}

void RemoveOrphans(const std::string& parent) {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(parent, error)) {
    if (!entry.path().filename().string().starts_with("run-")) continue;
    if (const auto dead = TryLock(entry.path())) Remove(entry.path());
  }
}

}  // namespace

std::string SharedMemoryDir::DefaultParent() { return fmt::format("/dev/shm/baton-{}", geteuid()); }

Result<SharedMemoryDir> SharedMemoryDir::Create(const std::string& parent) {
  BATON_CHECKED(MakeOwnDirectory(parent));
  // Of two keepers that start at once, neither takes the other's for an orphan before it is locked.
  BATON_TRY(const UniqueFd guard, OpenFile(parent, O_RDONLY | O_DIRECTORY));
  const int guarded = flock(guard.get(), LOCK_EX);
  if (const int error = errno; guarded != 0) return ErrnoError(error, "lock {}", parent);
  RemoveOrphans(parent);
  std::string path = parent + "/run-XXXXXX";
  const char* made = mkdtemp(path.data());
  if (const int error = errno; made == nullptr) return ErrnoError(error, "make {}", path);
  auto lock = TryLock(path);
  if (!lock) return MakeError(ErrorCode::kConflict, "{} was taken by somebody else", path);
  constexpr mode_t kForAll = 01777;  // as /dev/shm
  const int set = fchmod(lock->get(), kForAll);
  if (const int error = errno; set != 0) return ErrnoError(error, "{}", path);
  return SharedMemoryDir(std::move(path), std::move(*lock));
}

SharedMemoryDir::~SharedMemoryDir() {
  const bool moved_from = lock_.get() < 0;
  if (!moved_from) Remove(path_);
}

}  // namespace baton
