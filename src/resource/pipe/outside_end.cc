#include "resource/pipe/outside_end.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>

#include <charconv>
#include <memory>
#include <string>
#include <string_view>

namespace baton {
namespace {

struct CloseDirectory {
  void operator()(DIR* directory) const { closedir(directory); }
};
using Directory = std::unique_ptr<DIR, CloseDirectory>;

std::optional<pid_t> ParsePid(std::string_view name) {
  pid_t pid = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), pid);
  if (error != std::errc() || end != name.data() + name.size()) return std::nullopt;
  return pid;
}

// The permission bits of the link itself say how the file is open (proc(5)).
bool IsThatEnd(int directory, const char* name, const struct stat& pipe, PipeEnd end) {
  struct stat link{};
  struct stat target{};
  if (fstatat(directory, name, &target, 0) != 0 || !S_ISFIFO(target.st_mode)) return false;
  if (target.st_dev != pipe.st_dev || target.st_ino != pipe.st_ino) return false;
  if (fstatat(directory, name, &link, AT_SYMLINK_NOFOLLOW) != 0) return false;
  return (link.st_mode & (end == PipeEnd::kRead ? S_IRUSR : S_IWUSR)) != 0;
}

bool Holds(pid_t pid, const struct stat& pipe, PipeEnd end) {
  const Directory directory(opendir(fmt::format("/proc/{}/fd", pid).c_str()));
  if (!directory) return false;
  while (const dirent* entry = readdir(directory.get())) {
    if (IsThatEnd(dirfd(directory.get()), entry->d_name, pipe, end)) return true;
  }
  return false;
}

}  // namespace

std::optional<pid_t> FindHolder(const struct stat& status, PipeEnd end, const std::function<bool(pid_t)>& in_unit) {
  const Directory directory(opendir("/proc"));
  if (!directory) return std::nullopt;
  while (const dirent* entry = readdir(directory.get())) {
    const auto pid = ParsePid(entry->d_name);
    if (pid && !in_unit(*pid) && Holds(*pid, status, end)) return pid;
  }
  return std::nullopt;
}

}  // namespace baton
