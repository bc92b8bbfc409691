#include "resource/epoll/watch.h"

#include <linux/kcmp.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <map>

#include "resource/common/payload.h"

namespace baton {
namespace {

enum class Match { kYes, kNo, kUnknown };

// kUnknown: this kernel cannot say (CONFIG_KCMP).
Match Compare(const FdFacts& epoll, const EpollWatch& watch, const FdFacts& file) {
  const kcmp_epoll_slot slot{
      .efd = static_cast<uint32_t>(epoll.fd), .tfd = static_cast<uint32_t>(watch.fd), .toff = watch.index};
  const long compared = syscall(SYS_kcmp, file.host_pid, epoll.host_pid, KCMP_EPOLL_TFD, file.fd, &slot);
  if (compared == 0) return Match::kYes;
  return compared < 0 ? Match::kUnknown : Match::kNo;
}

Result<EpollWatch> ParseWatch(const FdInfo::Field& line) {
  EpollWatch watch;
  BATON_TRY(const std::vector<FdInfo::Field> fields, SplitFdInfoField(line));
  bool has_events = false;
  bool has_data = false;
  for (const auto& [key, value] : fields) {
    if (key == "tfd") {
      BATON_TRY(watch.fd, ParseFdInfoNumber<int>(key, value));
    } else if (key == "events") {
      BATON_TRY(watch.events, ParseFdInfoNumber<uint32_t>(key, value, 16));
      has_events = true;
    } else if (key == "data") {
      BATON_TRY(watch.data, ParseFdInfoNumber(key, value, 16));
      has_data = true;
    } else if (key == "ino") {
      BATON_TRY(watch.inode, ParseFdInfoNumber(key, value, 16));
    }
  }
  if (watch.fd >= 0 && has_events && has_data) return watch;
  return MakeError(ErrorCode::kCorrupt, "fdinfo: \"{}: {}\" is no watch", line.first, line.second);
}

}  // namespace

Result<std::vector<EpollWatch>> ParseWatches(const FdInfo& info) {
  std::vector<EpollWatch> watches;
  std::map<int, unsigned> seen;
  for (const FdInfo::Field& line : info.fields) {
    if (line.first != "tfd") continue;
    BATON_TRY(EpollWatch watch, ParseWatch(line));
    watch.index = seen[watch.fd]++;
    watches.push_back(watch);
  }
  return watches;
}

// Nearly always it is what has the number now.
Result<const FdFacts*> FindWatched(const FdFacts& epoll, const EpollWatch& watch, const CaptureContext& context) {
  const FdFacts* same_number = context.Find(epoll.host_pid, watch.fd);
  const auto fits = [&](const FdFacts& file) { return watch.inode == 0 || file.status.st_ino == watch.inode; };
  if (same_number != nullptr && fits(*same_number)) {
    const Match match = Compare(epoll, watch, *same_number);
    if (match != Match::kNo) return same_number;
  }
  for (const FdFacts& file : context.files()) {
    if (fits(file) && Compare(epoll, watch, file) == Match::kYes) return &file;
  }
  return MakeError(ErrorCode::kNotSupported,
                   "this epoll descriptor watches a file that was added as descriptor {} and that nobody in the unit "
                   "has open any more: remove it (EPOLL_CTL_DEL) before closing it, or save who has it too",
                   watch.fd);
}

}  // namespace baton
