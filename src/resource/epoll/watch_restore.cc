#include "resource/epoll/watch_restore.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <span>
#include <vector>

#include "resource/common/remote_pidfd.h"

namespace baton {
namespace {

constexpr size_t kChunk = 24;  // watches whose calls go together
constexpr int kEventsAtOnce = 32;
constexpr uint32_t kPrivateFlags = EPOLLWAKEUP | EPOLLONESHOT | EPOLLET | EPOLLEXCLUSIVE;
// Anything a file may be ready for.
constexpr uint32_t kAnything = EPOLLIN | EPOLLOUT | EPOLLPRI | EPOLLRDHUP;

// A one-shot watch that has fired: only its flags are left.
bool HasFired(const pb::EpollWatch& watch) {
  return (watch.events() & EPOLLONESHOT) != 0 && (watch.events() & ~kPrivateFlags) == 0;
}

struct Change {
  const pb::EpollWatch* watch = nullptr;
  uint32_t events = 0;
  uint64_t data = 0;
};

class WatchMaker {
 public:
  WatchMaker(const pb::EpollPayload& message, ArmContext& context)
      : message_(message), context_(context), calls_(context.holder()) {}

  Result<> Make(const FdUser& user) {
    BATON_CHECKED(MakeRoom());
    BATON_TRY(epoll_, Fetch(user.ns_pid, user.fd));
    for (const pb::EpollWatch& watch : message_.watches()) BATON_CHECKED(ProcessFd(watch.process()));
    // First, while nothing else can be reported.
    BATON_CHECKED(AddFired());
    std::vector<Change> armed;
    for (const pb::EpollWatch& watch : message_.watches()) {
      if (!HasFired(watch)) armed.push_back({&watch, watch.events(), watch.data()});
    }
    BATON_CHECKED(Apply(EPOLL_CTL_ADD, armed));
    for (const auto& [process, fd] : processes_) BATON_CHECKED(calls_.Do("close", SYS_close, fd));
    BATON_CHECKED(calls_.Do("close", SYS_close, epoll_));
    return {};
  }

 private:
  // Ours get numbers above all that watches have.
  Result<> MakeRoom() {
    for (const pb::EpollWatch& watch : message_.watches()) above_ = std::max<int64_t>(above_, int64_t{watch.fd()} + 1);
    BATON_TRY(const auto at, calls_.PutValue(rlimit{}));
    BATON_CHECKED(calls_.Do("read the descriptor limit", SYS_prlimit64, 0, RLIMIT_NOFILE, 0, at));
    BATON_TRY(rlimit limit, calls_.Get(at));
    limit.rlim_cur = limit.rlim_max;
    BATON_TRY(const auto raised, calls_.PutValue(limit));
    BATON_CHECKED(calls_.Do("raise the descriptor limit", SYS_prlimit64, 0, RLIMIT_NOFILE, raised, 0));
    return {};
  }

  Result<int64_t> MoveUp(int64_t fd) {
    BATON_TRY(const int64_t moved, calls_.Do("F_DUPFD", SYS_fcntl, fd, F_DUPFD_CLOEXEC, above_));
    BATON_CHECKED(calls_.Do("close", SYS_close, fd));
    return moved;
  }

  Result<int64_t> ProcessFd(pid_t process) {
    if (const auto known = processes_.find(process); known != processes_.end()) return known->second;
    BATON_CHECKED(context_.Process(process));  // one of the unit's
    BATON_TRY(const int64_t fd, OpenRemotePidfd(calls_, process));
    BATON_TRY(processes_[process], MoveUp(fd));
    return processes_[process];
  }

  Result<int64_t> Fetch(pid_t process, int fd) {
    BATON_TRY(const int64_t from, ProcessFd(process));
    BATON_TRY(const int64_t fetched, calls_.Do("pidfd_getfd", SYS_pidfd_getfd, from, fd, 0));
    return MoveUp(fetched);
  }

  // The kernel has no call for a one-shot watch that has fired. So they are armed for anything and fire once more,
  // here. Those of files that are ready for nothing are left armed for what nobody can leave out, errors and hang-ups.
  Result<> AddFired() {
    std::vector<Change> fired;
    for (const pb::EpollWatch& watch : message_.watches()) {
      if (HasFired(watch)) fired.push_back({&watch, watch.events() | kAnything, fired.size()});
    }
    if (fired.empty()) return {};
    BATON_CHECKED(Apply(EPOLL_CTL_ADD, fired));
    BATON_TRY(const std::set<uint64_t> reported, TakeReports());
    std::vector<Change> silent;
    for (const Change& change : fired) {
      if (!reported.contains(change.data))
        silent.push_back({change.watch, change.watch->events(), change.watch->data()});
    }
    return Apply(EPOLL_CTL_MOD, silent);
  }

  Result<std::set<uint64_t>> TakeReports() {
    std::set<uint64_t> data;
    calls_.ResetArguments();
    BATON_TRY(const auto at, calls_.PutValue(std::array<epoll_event, kEventsAtOnce>{}));
    while (true) {
      BATON_TRY(const int64_t count,
                calls_.Do("epoll_wait", SYS_epoll_pwait, epoll_, at, kEventsAtOnce, 0, 0, sizeof(uint64_t)));
      if (count == 0) return data;
      BATON_TRY(const auto events, calls_.Get(at));
      for (int64_t i = 0; i < count; ++i) data.insert(events[static_cast<size_t>(i)].data.u64);
    }
  }

  Result<> Apply(int operation, std::span<const Change> changes) {
    while (!changes.empty()) {
      const auto chunk = changes.first(std::min(kChunk, changes.size()));
      changes = changes.subspan(chunk.size());
      BATON_CHECKED(ApplyChunk(operation, chunk));
    }
    return {};
  }

  Result<> ApplyChunk(int operation, std::span<const Change> chunk) {
    calls_.ResetArguments();
    std::vector<epoll_event> events;
    for (const Change& change : chunk) events.push_back({.events = change.events, .data = {.u64 = change.data}});
    BATON_TRY(const RemotePtr<> at, calls_.Put(std::as_bytes(std::span(events))));
    BATON_TRY(int64_t lowest_free, LowestFree());
    std::vector<RemoteCall> batch;
    for (size_t i = 0; i < chunk.size(); ++i) {
      const uint64_t event = (at + i * sizeof(epoll_event)).value();
      ApplyOne(operation, *chunk[i].watch, event, lowest_free, batch);
    }
    BATON_CHECKED(calls_.Run(batch));
    for (const RemoteCall& call : batch) {
      if (call.result < 0) return ErrnoError(static_cast<int>(-call.result), "watch descriptors by epoll");
    }
    return {};
  }

  // The kernel gives the lowest free number, so that what is fetched has a number known beforehand.
  void ApplyOne(int operation, const pb::EpollWatch& watch, uint64_t event, int64_t& lowest_free,
                std::vector<RemoteCall>& batch) {
    const auto fetched = static_cast<uint64_t>(lowest_free);
    const auto fd = static_cast<uint64_t>(watch.fd());
    const auto from = static_cast<uint64_t>(processes_.at(watch.process()));
    batch.push_back({SYS_pidfd_getfd, {from, static_cast<uint64_t>(watch.process_fd()), 0}});
    if (fetched != fd) {
      batch.push_back({SYS_dup3, {fetched, fd, O_CLOEXEC}});
      batch.push_back({SYS_close, {fetched}});
    }
    batch.push_back({SYS_epoll_ctl, {static_cast<uint64_t>(epoll_), static_cast<uint64_t>(operation), fd, event}});
    batch.push_back({SYS_close, {fd}});
    lowest_free = std::min<int64_t>(lowest_free, watch.fd());
  }

  Result<int64_t> LowestFree() {
    BATON_TRY(const int64_t fd, calls_.Do("F_DUPFD", SYS_fcntl, epoll_, F_DUPFD_CLOEXEC, 0));
    BATON_CHECKED(calls_.Do("close", SYS_close, fd));
    return fd;
  }

  const pb::EpollPayload& message_;
  ArmContext& context_;
  RemoteSyscalls& calls_;
  int64_t above_ = 0;
  int64_t epoll_ = -1;
  std::map<pid_t, int64_t> processes_;  // pidfds in the holder
};

}  // namespace

Result<> RestoreWatches(const pb::EpollPayload& message, const FdUser& user, ArmContext& context) {
  return WatchMaker(message, context).Make(user);
}

}  // namespace baton
