#include "keeper/process_numbers.h"

#include <signal.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "proc/process_files.h"

namespace baton {
namespace {

std::string OwnerOf(pid_t number) {
  const auto status = ReadStatus(number);
  if (!status) return "a process that cannot be looked at";
  if (status->state == 'Z') {
    return fmt::format("process {} ({}), which has ended, but its parent {} has not waited for it", number,
                       status->name, status->ppid);
  }
  if (status->tgid != number) return fmt::format("thread of process {} ({})", status->tgid, status->name);
  return fmt::format("process {} ({})", number, status->name);
}

// A process that has ended keeps its number until its parent takes notice, which is about to happen: most of all after
// a checkpoint that ended it.
bool AboutToBeFree(pid_t number) {
  constexpr int kTries = 200;
  constexpr timespec kPause{0, 10'000'000};
  for (int attempt = 0; attempt < kTries; ++attempt) {
    const auto status = ReadStatus(number);
    if (!status) return true;
    if (status->state != 'Z') return false;
    nanosleep(&kPause, nullptr);
  }
  return false;
}

}  // namespace

Result<> CheckNumbersFree(const std::vector<pid_t>& numbers) {
  for (const pid_t number : numbers) {
    // /proc has threads by their number as well; kill(2) knows process groups whose leader has ended.
    const bool process = access(fmt::format("/proc/{}", number).c_str(), F_OK) == 0;
    if (process && !AboutToBeFree(number)) {
      return MakeError(ErrorCode::kConflict,
                       "process number {} is taken by {}: end it first, or restore with --capsule", number,
                       OwnerOf(number));
    }
    const bool group = kill(-number, 0) == 0 || errno != ESRCH;
    if (group) {
      return MakeError(ErrorCode::kConflict,
                       "process number {} is still the number of a process group: end its members first, or restore "
                       "with --capsule",
                       number);
    }
  }
  return {};
}

}  // namespace baton
