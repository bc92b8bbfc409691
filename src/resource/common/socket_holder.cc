#include "resource/common/socket_holder.h"

#include <dirent.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cctype>
#include <memory>

#include "proc/process_files.h"

namespace baton {
namespace {

using Directory = std::unique_ptr<DIR, int (*)(DIR*)>;

bool Holds(const std::string& fds, uint64_t inode) {
  const Directory directory(opendir(fds.c_str()), closedir);
  if (!directory) return false;
  while (const dirent* entry = readdir(directory.get())) {
    struct stat status{};
    if (fstatat(dirfd(directory.get()), entry->d_name, &status, 0) != 0) continue;
    if (S_ISSOCK(status.st_mode) && status.st_ino == inode) return true;
  }
  return false;
}

}  // namespace

std::string DescribeSocketHolder(uint64_t inode) {
  const Directory directory(opendir("/proc"), closedir);
  while (const dirent* entry = directory ? readdir(directory.get()) : nullptr) {
    const std::string name = entry->d_name;
    if (!std::ranges::all_of(name, [](unsigned char letter) { return std::isdigit(letter) != 0; })) continue;
    if (!Holds(fmt::format("/proc/{}/fd", name), inode)) continue;
    const auto comm = ReadComm(std::stoi(name));
    return fmt::format("process {} ({})", name, comm ? *comm : "?");
  }
  return "a process that we may not look at";
}

}  // namespace baton
