#include "capsule/id_maps.h"

#include <fcntl.h>
#include <pwd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <utility>

#include "base/file.h"
#include "base/log.h"

namespace baton {
namespace {

constexpr const char* kUserMapper = "/usr/bin/newuidmap";
constexpr const char* kGroupMapper = "/usr/bin/newgidmap";
constexpr int kUsersFailed = 1;
constexpr int kGroupsFailed = 2;

std::vector<IdRange> RangesOf(const std::string& path, const std::string& name) {
  const auto text = ReadFile(path);
  if (!text) return {};
  auto ranges = ParseSubordinateIds(*text, name, geteuid());
  if (ranges) return std::move(*ranges);
  BATON_LOG(kWarn, "{}: {}", path, ranges.error().ToString());
  return {};
}

// "newuidmap PID INSIDE OUTSIDE COUNT ...". Its own words would be the user's to guess at.
bool RunMapper(const char* program, pid_t pid, uint32_t own, const std::vector<IdRange>& ranges) {
  if (ranges.empty()) return false;
  std::vector<std::string> words{program, std::to_string(pid), std::to_string(own), std::to_string(own), "1"};
  for (const IdRange& range : ranges) {
    for (const uint32_t number : {range.first, range.first, range.count}) words.push_back(std::to_string(number));
  }
  const pid_t child = fork();
  if (child == 0) {
    std::vector<char*> arguments;
    for (std::string& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
      if (null < 0 || dup2(null, fd) < 0) _exit(1);
    }
    execv(program, arguments.data());
    _exit(1);
  }
  int status = -1;
  while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return status == 0;
}

[[noreturn]] void BeMapper(int go, pid_t pid, const SubordinateIds& ids) {
  char byte = 0;
  if (read(go, &byte, 1) != 1) _exit(kUsersFailed | kGroupsFailed);  // it was not to be
  const int users = RunMapper(kUserMapper, pid, geteuid(), ids.users) ? 0 : kUsersFailed;
  const int groups = RunMapper(kGroupMapper, pid, getegid(), ids.groups) ? 0 : kGroupsFailed;
  _exit(users | groups);
}

}  // namespace

SubordinateIds FindSubordinateIds(const std::string& etc) {
  if (geteuid() == 0 || access(kUserMapper, X_OK) != 0 || access(kGroupMapper, X_OK) != 0) return {};
  const passwd* entry = getpwuid(geteuid());
  if (entry == nullptr) return {};  // newuidmap asks for it
  const std::string name = entry->pw_name;
  return {.users = RangesOf(etc + "/subuid", name), .groups = RangesOf(etc + "/subgid", name)};
}

Result<OutsideMapper> OutsideMapper::Start(const SubordinateIds& ids) {
  std::array<int, 2> ends{};
  const int piped = pipe2(ends.data(), O_CLOEXEC);
  if (const int error = errno; piped != 0) return ErrnoError(error, "pipe");
  const UniqueFd theirs(ends[0]);
  UniqueFd ours(ends[1]);
  const pid_t self = getpid();
  const pid_t child = fork();
  if (const int error = errno; child < 0) return ErrnoError(error, "fork");
  if (child == 0) {
    {
      const UniqueFd closed_here = std::move(ours);
    }
    BeMapper(theirs.get(), self, ids);
  }
  return OutsideMapper(child, ours.release());
}

OutsideMapper::OutsideMapper(OutsideMapper&& other) noexcept
    : child_(other.child_), go_(std::exchange(other.go_, -1)) {}

OutsideMapper::Done OutsideMapper::Map() {
  {
    const UniqueFd go(std::exchange(go_, -1));
    const ssize_t told = write(go.get(), "", 1);
    if (told != 1) BATON_LOG(kWarn, "the mapper of ids is gone");
  }
  int status = -1;
  while (waitpid(child_, &status, 0) < 0 && errno == EINTR) {
  }
  if (!WIFEXITED(status)) return {};
  return {.users = (WEXITSTATUS(status) & kUsersFailed) == 0, .groups = (WEXITSTATUS(status) & kGroupsFailed) == 0};
}

OutsideMapper::~OutsideMapper() {
  if (go_ < 0) return;
  {
    const UniqueFd closed(go_);
  }
  while (waitpid(child_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

}  // namespace baton
