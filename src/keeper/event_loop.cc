#include "keeper/event_loop.h"

#include <cerrno>
#include <utility>
#include <vector>

namespace baton {

void EventLoop::Watch(int fd, short events, Callback callback) {
  watches_[fd] = {.events = events, .callback = std::move(callback)};
}

Result<> EventLoop::RunOnce(int timeout_ms) {
  std::vector<pollfd> waits;
  waits.reserve(watches_.size());
  for (const auto& [fd, watch] : watches_) waits.push_back({.fd = fd, .events = watch.events, .revents = 0});
  const int ready = poll(waits.data(), waits.size(), timeout_ms);
  const int error = errno;
  if (ready < 0 && error == EINTR) return {};
  if (ready < 0) return ErrnoError(error, "poll");
  for (const pollfd& wait : waits) {
    if (wait.revents == 0) continue;
    const auto watch = watches_.find(wait.fd);
    if (watch == watches_.end()) continue;             // unwatched by an earlier callback of this round
    const Callback callback = watch->second.callback;  // may unwatch itself
    BATON_CHECKED(callback(wait.revents));
  }
  return {};
}

}  // namespace baton
