#include "thread/tracer_thread.h"

#include <utility>

#include "thread/signals_blocked.h"

namespace baton {

TracerThread::TracerThread() {
  const SignalsBlocked in_the_thread;
  thread_ = std::jthread([this](const std::stop_token& stop) { Serve(stop); });
}

TracerThread::~TracerThread() { thread_.request_stop(); }

Result<> TracerThread::Run(std::function<Result<>()> work) {
  std::promise<Result<>> outcome;
  auto outcome_here = outcome.get_future();
  {
    const std::lock_guard lock(mutex_);
    work_ = std::move(work);
    outcome_ = std::move(outcome);
  }
  wanted_.notify_one();
  return outcome_here.get();
}

void TracerThread::Serve(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  while (wanted_.wait(lock, stop, [this] { return work_ != nullptr; })) {
    const auto work = std::exchange(work_, nullptr);
    std::promise<Result<>> outcome = std::move(outcome_);
    lock.unlock();
    outcome.set_value(work());
    lock.lock();
  }
}

}  // namespace baton
