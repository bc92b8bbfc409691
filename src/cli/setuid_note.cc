#include "cli/setuid_note.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <optional>
#include <sstream>

#include "capsule/id_maps.h"

namespace baton {
namespace {

std::optional<struct stat> Executable(const std::string& path) {
  struct stat status{};
  if (stat(path.c_str(), &status) != 0 || !S_ISREG(status.st_mode) || access(path.c_str(), X_OK) != 0) return {};
  return status;
}

std::optional<struct stat> FindProgram(const std::string& program) {
  if (program.contains('/')) return Executable(program);
  const char* path = std::getenv("PATH");
  std::istringstream directories(path == nullptr ? "/bin:/usr/bin" : path);
  for (std::string directory; std::getline(directories, directory, ':');) {
    if (auto found = Executable(fmt::format("{}/{}", directory.empty() ? "." : directory, program))) return found;
  }
  return {};
}

}  // namespace

std::string SetuidNote(const std::string& program) {
  if (geteuid() == 0) return "";
  const auto status = FindProgram(program);
  if (!status) return "";
  const bool user = (status->st_mode & S_ISUID) != 0 && status->st_uid != geteuid();
  const bool group = (status->st_mode & S_ISGID) != 0 && status->st_gid != getegid();
  if (!user && !group) return "";
  const SubordinateIds lent = FindSubordinateIds();
  const auto has = [](const std::vector<IdRange>& ranges, uint32_t id) {
    return std::ranges::any_of(ranges, [&](const IdRange& range) { return range.Contains(id); });
  };
  if ((!user || has(lent.users, status->st_uid)) && (!group || has(lent.groups, status->st_gid))) return "";
  return fmt::format(
      "{} is a {} program of {} {}: in a job of an ordinary user, which has only his own ids and those that "
      "/etc/subuid "
      "lends him, it gains no rights; run Baton as root if it needs them",
      program, user ? "setuid" : "setgid", user ? "user" : "group", user ? status->st_uid : status->st_gid);
}

}  // namespace baton
