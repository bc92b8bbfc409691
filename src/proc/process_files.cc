#include "proc/process_files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>

#include "base/file.h"
#include "proc/children.h"
#include "proc/namespace_visit.h"
#include "proc/nul_list.h"
#include "proc/swaps.h"
#include "proc/text.h"

namespace baton {

namespace {

std::string DirectoryOf(pid_t pid, std::optional<pid_t> tid) {
  return tid ? fmt::format("/proc/{}/task/{}", pid, *tid) : fmt::format("/proc/{}", pid);
}

bool MeansMissing(int saved_errno) { return saved_errno == ENOENT || saved_errno == ESRCH; }

// A file that is missing means a task that is gone, unless the task is still there: ESRCH alone proves nothing, a
// zombie answers so for its environ. (If its number is taken again in between, the error is kNotFound instead; whoever
// can be met by that checks the start time.)
Error Explain(Error error, const std::string& directory) {
  if (!MeansMissing(error.saved_errno())) return error;
  std::error_code ignored;
  if (std::filesystem::exists(directory, ignored)) return error;
  return {ErrorCode::kTaskGone, error.saved_errno(), directory + " is gone"};
}

// What `look` gives, called again in the user namespace of the process where our own rights did not do: a process of
// another user in there has files that are not ours, but the namespace is (user_namespaces(7)).
template <typename Look>
auto WithRightsOver(pid_t pid, Look look) -> decltype(look()) {
  auto seen = look();
  if (seen || seen.error().saved_errno() != EACCES || ShareNamespace(pid, getpid(), "user")) return seen;
  BATON_CHECKED(InUserNamespaceOf(pid, [&]() -> Result<> {
    seen = look();
    return {};
  }));
  return seen;
}

// Reads one file and parses it; the file's name goes in front of a parser's error.
template <typename Parse>
auto ReadParsed(Parse parse, pid_t pid, const std::string& name, std::optional<pid_t> tid = std::nullopt)
    -> decltype(parse(std::string_view())) {
  BATON_TRY(const std::string text, ReadProcessFile(pid, name, tid));
  auto parsed = parse(std::string_view(text));
  if (!parsed) return parsed.Fail("{}/{}", DirectoryOf(pid, tid), name);
  return parsed;
}

// The entries of `directory` whose names are numbers, ascending.
template <typename Number>
Result<std::vector<Number>> ListNumbers(const std::string& directory) {
  std::vector<Number> numbers;
  std::error_code error;
  std::filesystem::directory_iterator entry(directory, error);
  for (; !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) {
    Number number = 0;
    if (proc_text::ParseNumber(entry->path().filename().native(), &number)) numbers.push_back(number);
  }
  if (error) return ErrnoError(error.value(), "list {}", directory);
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}

template <typename Number>
Result<std::vector<Number>> ListProcess(pid_t pid, std::string_view name) {
  const std::string directory = DirectoryOf(pid, std::nullopt);
  auto numbers = WithRightsOver(pid, [&] { return ListNumbers<Number>(fmt::format("{}/{}", directory, name)); });
  if (!numbers) return Explain(std::move(numbers.error()), directory);
  return numbers;
}

}  // namespace

Result<UniqueFd> OpenProcessFile(pid_t pid, const std::string& name, int flags, std::optional<pid_t> tid) {
  const std::string directory = DirectoryOf(pid, tid);
  auto file = WithRightsOver(pid, [&] { return OpenFile(fmt::format("{}/{}", directory, name), flags); });
  if (!file) return Explain(std::move(file.error()), directory);
  return file;
}

Result<struct stat> StatBelowRoot(pid_t pid, const std::string& path) {
  const std::string seen = fmt::format("{}/root{}", DirectoryOf(pid, std::nullopt), path);
  return WithRightsOver(pid, [&]() -> Result<struct stat> {
    struct stat status{};
    const int stated = stat(seen.c_str(), &status);
    if (const int error = errno; stated != 0) return ErrnoError(error, "{}", seen);
    return status;
  });
}

Result<std::string> ReadProcessFile(pid_t pid, const std::string& name, std::optional<pid_t> tid) {
  const std::string directory = DirectoryOf(pid, tid);
  BATON_TRY(const UniqueFd file, OpenProcessFile(pid, name, O_RDONLY, tid));
  auto text = ReadFd(file.get());
  if (!text) return Explain(std::move(text.error()).Context("{}/{}", directory, name), directory);
  return text;
}

Result<> WriteProcessFile(pid_t pid, const std::string& name, std::string_view content) {
  BATON_TRY(const UniqueFd file, OpenProcessFile(pid, name, O_WRONLY));
  if (auto written = WriteAll(file.get(), content); !written) {
    return written.Fail("{}/{}", DirectoryOf(pid, std::nullopt), name);
  }
  return {};
}

Result<std::string> ReadProcessLink(pid_t pid, const std::string& name) {
  const std::string directory = DirectoryOf(pid, std::nullopt);
  auto target = WithRightsOver(pid, [&] { return ReadLink(fmt::format("{}/{}", directory, name)); });
  if (!target) return Explain(std::move(target.error()), directory);
  return target;
}

Result<std::vector<MapsEntry>> ReadMaps(pid_t pid) { return ReadParsed(ParseMaps, pid, "maps"); }
Result<std::vector<SmapsEntry>> ReadSmaps(pid_t pid) { return ReadParsed(ParseSmaps, pid, "smaps"); }
Result<FdInfo> ReadFdInfo(pid_t pid, int fd) { return ReadParsed(ParseFdInfo, pid, fmt::format("fdinfo/{}", fd)); }
Result<std::vector<MountInfo>> ReadMountInfo(pid_t pid) { return ReadParsed(ParseMountInfo, pid, "mountinfo"); }
Result<std::vector<ProcTimer>> ReadTimers(pid_t pid) { return ReadParsed(ParseTimers, pid, "timers"); }
Result<std::vector<ProcLimit>> ReadLimits(pid_t pid) { return ReadParsed(ParseLimits, pid, "limits"); }
Result<std::vector<ProcCgroup>> ReadCgroup(pid_t pid) { return ReadParsed(ParseCgroup, pid, "cgroup"); }
Result<TimensOffsets> ReadTimensOffsets(pid_t pid) { return ReadParsed(ParseTimensOffsets, pid, "timens_offsets"); }
Result<std::string> ReadFdLink(pid_t pid, int fd) { return ReadProcessLink(pid, fmt::format("fd/{}", fd)); }

Result<ProcStat> ReadStat(pid_t pid, std::optional<pid_t> tid) { return ReadParsed(ParseStat, pid, "stat", tid); }
Result<ProcStatus> ReadStatus(pid_t pid, std::optional<pid_t> tid) {
  return ReadParsed(ParseStatus, pid, "status", tid);
}
Result<ProcSyscall> ReadSyscall(pid_t pid, std::optional<pid_t> tid) {
  return ReadParsed(ParseSyscall, pid, "syscall", tid);
}
Result<ProcSched> ReadSched(pid_t pid, std::optional<pid_t> tid) { return ReadParsed(ParseSched, pid, "sched", tid); }

Result<std::vector<std::string>> ReadCmdline(pid_t pid) {
  BATON_TRY(const std::string bytes, ReadProcessFile(pid, "cmdline"));
  return SplitNulList(bytes);
}

Result<std::vector<std::string>> ReadEnviron(pid_t pid) {
  BATON_TRY(const std::string bytes, ReadProcessFile(pid, "environ"));
  return SplitNulList(bytes);
}

Result<std::string> ReadComm(pid_t pid, std::optional<pid_t> tid) {
  BATON_TRY(std::string comm, ReadProcessFile(pid, "comm", tid));
  if (comm.ends_with('\n')) comm.pop_back();
  return comm;
}

Result<std::vector<pid_t>> ListTasks(pid_t pid) { return ListProcess<pid_t>(pid, "task"); }
Result<std::vector<int>> ListFds(pid_t pid) { return ListProcess<int>(pid, "fd"); }

pid_t LivingTask(pid_t pid) {
  const auto ended = [pid](pid_t tid) {
    const auto stat = ReadStat(pid, tid);
    return !stat || stat->state == 'Z' || stat->state == 'X';
  };
  if (!ended(pid)) return pid;
  const auto tids = ListTasks(pid);
  if (!tids) return pid;
  const auto living = std::ranges::find_if_not(*tids, ended);
  return living == tids->end() ? pid : *living;
}

Result<std::vector<pid_t>> ListChildren(pid_t pid) {
  BATON_TRY(const std::vector<pid_t> tids, ListTasks(pid));
  std::vector<pid_t> children;
  for (const pid_t tid : tids) {
    auto some = ListChildren(pid, tid);
    if (!some && some.error().code() == ErrorCode::kTaskGone) continue;
    if (!some) return some.Fail();
    children.insert(children.end(), some->begin(), some->end());
  }
  std::sort(children.begin(), children.end());
  children.erase(std::unique(children.begin(), children.end()), children.end());
  return children;
}

Result<std::vector<pid_t>> ListChildren(pid_t pid, pid_t tid) {
  return ReadParsed(ParseChildren, pid, "children", tid);
}

Result<bool> AnySwap() {
  BATON_TRY(const std::string text, ReadFile("/proc/swaps"));
  auto any = ParseSwapsAny(text);
  if (!any) return any.Fail("/proc/swaps");
  return any;
}

}  // namespace baton
