#include "thread/background.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "base/file.h"
#include "thread/signals_blocked.h"

namespace baton {
Result<Background> Background::Create() {
  const int raw = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (const int error = errno; raw < 0) return ErrnoError(error, "eventfd");
  return Background(UniqueFd(raw));
}

void Background::Start(std::function<Result<>()> work) {
  const SignalsBlocked in_the_thread;
  outcome_ = std::make_shared<std::optional<Result<>>>();
  thread_ = std::jthread([outcome = outcome_, work = std::move(work), event = event_.get()] {
    outcome->emplace(work());
    const uint64_t one = 1;
    const ssize_t told = write(event, &one, sizeof(one));
    static_cast<void>(told);  // an eventfd takes it
  });
}

Result<> Background::Take() {
  thread_.join();
  uint64_t count = 0;
  const ssize_t taken = read(event_.get(), &count, sizeof(count));
  static_cast<void>(taken);
  return std::move(**outcome_);
}

}  // namespace baton
