#include "keeper/external_fds.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <optional>
#include <string_view>

#include "proc/process_files.h"

namespace baton {
namespace {

constexpr std::string_view kPrefix = "fd:";
constexpr std::string_view kClose = "=close";
constexpr std::string_view kInherit = "=inherit";

std::optional<int> ParseNumber(std::string_view text) {
  int number = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || number < 0) return std::nullopt;
  return number;
}

Result<UniqueFd> CopyOf(pid_t pid, int fd) {
  const auto process = static_cast<int>(syscall(SYS_pidfd_open, pid, 0U));
  if (const int error = errno; process < 0) return ErrnoError(error, "process {}", pid);
  const UniqueFd owned(process);
  const auto copy = static_cast<int>(syscall(SYS_pidfd_getfd, process, fd, 0U));
  const int error = errno;
  if (copy >= 0) return UniqueFd(copy);
  if (error == EBADF) return MakeError(ErrorCode::kNotFound, "process {} has no descriptor {}", pid, fd);
  return ErrnoError(error, "copy descriptor {} of process {}", fd, pid);
}

// A terminal or a pipe: what a shell gives its jobs.
bool IsOfShell(int fd) {
  struct stat status{};
  return isatty(fd) == 1 || (fstat(fd, &status) == 0 && S_ISFIFO(status.st_mode));
}

// Whether one of them has the other end of this pipe.
bool IsPipeBetween(int fd, const std::set<pid_t>& members) {
  struct stat ours{};
  if (fstat(fd, &ours) != 0 || !S_ISFIFO(ours.st_mode)) return false;
  const int access = fcntl(fd, F_GETFL) & O_ACCMODE;
  for (const pid_t pid : members) {
    for (const int other : ListFds(pid).value_or(std::vector<int>{})) {
      struct stat theirs{};
      const std::string path = fmt::format("/proc/{}/fd/{}", pid, other);
      if (stat(path.c_str(), &theirs) != 0 || theirs.st_dev != ours.st_dev || theirs.st_ino != ours.st_ino) continue;
      const auto info = ReadFdInfo(pid, other);
      if (info && (info->flags & O_ACCMODE) != static_cast<unsigned>(access)) return true;
    }
  }
  return false;
}

std::string NameOf(const ExternalRule& rule) {
  return fmt::format("{}{}{}", kPrefix, rule.fd, rule.close ? kClose : "");
}

// The rule that an image's name stands for.
Result<ExternalRule> RuleOf(const std::string& name) {
  constexpr std::array<std::string_view, 3> kStandard{"stdin", "stdout", "stderr"};
  const auto standard = std::ranges::find(kStandard, name);
  if (standard != kStandard.end()) return ExternalRule{.fd = static_cast<int>(standard - kStandard.begin())};
  const bool close = name.ends_with(kClose);
  return ParseExternalRule(close ? name : name + std::string(kInherit));
}

}  // namespace

Result<ExternalRule> ParseExternalRule(const std::string& text) {
  std::string_view rest = text;
  const bool close = rest.ends_with(kClose);
  std::optional<int> fd;
  if (rest.starts_with(kPrefix) && (close || rest.ends_with(kInherit))) {
    rest.remove_prefix(kPrefix.size());
    rest.remove_suffix(close ? kClose.size() : kInherit.size());
    fd = ParseNumber(rest);
  }
  if (fd) return ExternalRule{.fd = *fd, .close = close};
  return MakeError(ErrorCode::kInvalidArgument, "'{}' is no outside descriptor: write fd:N=inherit or fd:N=close",
                   text);
}

Result<CaptureExternals> FindExternals(pid_t pid, const std::vector<ExternalRule>& rules, bool shell_job,
                                       const std::set<pid_t>& members) {
  CaptureExternals found;
  for (const ExternalRule& rule : rules) {
    BATON_TRY(UniqueFd copy, CopyOf(pid, rule.fd));
    found.externals.push_back({.name = NameOf(rule), .fd = copy.get()});
    found.copies.push_back(std::move(copy));
  }
  if (!shell_job) return found;
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (std::ranges::find(rules, fd, &ExternalRule::fd) != rules.end()) continue;
    auto copy = CopyOf(pid, fd);
    if (!copy && copy.error().code() == ErrorCode::kNotFound) continue;
    if (!copy) return copy.Fail();
    if (!IsOfShell(copy->get()) || IsPipeBetween(copy->get(), members)) continue;
    found.externals.push_back({.name = NameOf({.fd = fd}), .fd = copy->get()});
    found.copies.push_back(std::move(*copy));
  }
  return found;
}

Result<std::map<std::string, int>> PlaceExternals(const std::vector<std::string>& names,
                                                  const std::vector<ExternalRule>& rules) {
  std::map<std::string, int> placed;
  for (const std::string& name : names) {
    auto saved = RuleOf(name);
    if (!saved) return saved.Fail("the image needs the outside descriptor '{}', which this Baton does not know", name);
    const auto wanted = std::ranges::find(rules, saved->fd, &ExternalRule::fd);
    const ExternalRule rule = wanted == rules.end() ? *saved : *wanted;
    if (!rule.close && fcntl(rule.fd, F_GETFD) < 0) {
      return MakeError(ErrorCode::kInvalidArgument,
                       "the image needs the outside descriptor {}, and ours is not open: open it for `baton restore` "
                       "or leave it out with --external fd:{}=close",
                       rule.fd, rule.fd);
    }
    placed[name] = rule.close ? -1 : rule.fd;
  }
  return placed;
}

}  // namespace baton
