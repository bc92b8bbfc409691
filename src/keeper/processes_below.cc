#include "keeper/processes_below.h"

#include <signal.h>
#include <sys/ptrace.h>

#include <charconv>
#include <filesystem>
#include <string>
#include <vector>

#include "proc/process_files.h"
#include "task/ptrace.h"

namespace baton {
namespace {

std::vector<pid_t> ThreadsOf(pid_t pid) {
  std::vector<pid_t> threads;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/task", error)) {
    const std::string name = entry.path().filename();
    pid_t tid = 0;
    std::from_chars(name.data(), name.data() + name.size(), tid);
    threads.push_back(tid);
  }
  return threads;
}

}  // namespace

std::set<pid_t> ProcessesBelow(pid_t init_pid) {
  std::set<pid_t> found;
  std::vector<pid_t> to_visit{init_pid};
  while (!to_visit.empty()) {
    const auto children = ListChildren(to_visit.back());
    to_visit.pop_back();
    if (!children) continue;  // it ended meanwhile
    for (const pid_t child : *children) {
      if (found.insert(child).second) to_visit.push_back(child);
    }
  }
  return found;
}

void DieWithTracer(pid_t init_pid) {
  for (const pid_t pid : ProcessesBelow(init_pid)) {
    // One that ended meanwhile is not traced any more.
    for (const pid_t tid : ThreadsOf(pid)) {
      static_cast<void>(SetOptions(tid, uint64_t{PTRACE_O_TRACESYSGOOD} | PTRACE_O_EXITKILL));
    }
  }
}

void KillBelow(pid_t init_pid) {
  for (const pid_t pid : ProcessesBelow(init_pid)) kill(pid, SIGKILL);
}

}  // namespace baton
