// EventLoop: poll(2) over descriptors with a callback each; the keeper's one thread lives in it.
//
// Thread-safety: none. Callbacks run on the thread of Run and may watch and unwatch anything, themselves included.
#pragma once

#include <poll.h>

#include <functional>
#include <map>

#include "base/result.h"

namespace baton {

class EventLoop {
 public:
  using Callback = std::function<Result<>(short revents)>;

  // Calls `callback` whenever `fd` (borrowed) has one of `events`, or an error or hang-up. Replaces an older watch.
  void Watch(int fd, short events, Callback callback);
  void Unwatch(int fd) { watches_.erase(fd); }

  // One poll and the callbacks it brings; the first error of a callback ends it. `timeout_ms` as in poll(2).
  Result<> RunOnce(int timeout_ms);

 private:
  struct WatchedFd {
    short events = 0;
    Callback callback;
  };
  std::map<int, WatchedFd> watches_;
};

}  // namespace baton
