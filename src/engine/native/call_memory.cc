#include "engine/native/call_memory.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <sstream>

#include "base/file.h"
#include "base/log.h"
#include "proc/process_files.h"

namespace baton {
namespace {

constexpr int64_t kForEver = -1;

Result<std::string> BootId() { return ReadFile("/proc/sys/kernel/random/boot_id"); }

std::string LineOf(pid_t tid, const CallMemory::Entry& entry) {
  std::string line = fmt::format("{} {} {} {} {} {}", tid, entry.start_time, entry.instruction, entry.stack,
                                 entry.number, entry.deadline_ns.value_or(kForEver));
  for (const uint64_t argument : entry.arguments) line += fmt::format(" {}", argument);
  return line + "\n";
}

bool ParseLine(const std::string& line, pid_t& tid, CallMemory::Entry& entry) {
  std::istringstream words(line);
  int64_t deadline = 0;
  words >> tid >> entry.start_time >> entry.instruction >> entry.stack >> entry.number >> deadline;
  for (uint64_t& argument : entry.arguments) words >> argument;
  if (deadline != kForEver) entry.deadline_ns = deadline;
  return !words.fail() && tid > 0;
}

bool StillThere(pid_t tid, const CallMemory::Entry& entry) {
  const auto stat = ReadStat(tid, tid);
  return stat && stat->starttime == entry.start_time;
}

}  // namespace

std::string CallMemory::DefaultPath() {
  if (geteuid() == 0) return "/run/baton/calls";
  const char* runtime = std::getenv("XDG_RUNTIME_DIR");
  if (runtime != nullptr && *runtime == '/') return std::string(runtime) + "/baton/calls";
  const std::string own = fmt::format("/dev/shm/baton-{}", geteuid());
  return MakeOwnDirectory(own) ? own + "/calls" : "";
}

std::optional<CallMemory::Entry> CallMemory::Recall(pid_t tid, uint64_t start_time, uint64_t instruction,
                                                    uint64_t stack) const {
  const auto found = entries_.find(tid);
  if (found == entries_.end()) return std::nullopt;
  const Entry& entry = found->second;
  const bool same = entry.start_time == start_time && entry.instruction == instruction && entry.stack == stack;
  return same ? std::optional(entry) : std::nullopt;
}

void CallMemory::Load() {
  if (path_.empty()) return;
  const auto text = ReadFile(path_);
  const auto boot = BootId();
  if (!text || !boot || !text->starts_with(*boot)) return;
  std::istringstream lines(text->substr(boot->size()));
  for (std::string line; std::getline(lines, line);) {
    pid_t tid = 0;
    Entry entry;
    if (ParseLine(line, tid, entry)) entries_.try_emplace(tid, entry);
  }
}

void CallMemory::Save() {
  if (path_.empty() || !std::exchange(changed_, false)) return;
  const auto boot = BootId();
  const auto made = MakeDirectories(path_.substr(0, path_.rfind('/')));
  const auto lock = OpenFile(path_ + ".lock", O_RDWR | O_CREAT, 0600);
  if (!boot || !made || !lock || flock(lock->get(), LOCK_EX) != 0) return;
  Load();
  std::string text = *boot;
  std::erase_if(entries_, [](const auto& one) { return !StillThere(one.first, one.second); });
  for (const auto& [tid, entry] : entries_) text += LineOf(tid, entry);
  const std::string next = path_ + ".next";
  if (auto written = WriteFile(next, text, 0600); !written || rename(next.c_str(), path_.c_str()) != 0) {
    BATON_LOG(kInfo, "{} cannot be written: a second checkpoint may lengthen a sleep", path_);
  }
}

}  // namespace baton
