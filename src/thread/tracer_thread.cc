#include "thread/tracer_thread.h"

#include <utility>

#include "base/check.h"
#include "thread/signals_blocked.h"

namespace baton {

TracerThread::TracerThread() {
  const SignalsBlocked in_the_thread;
  thread_ = std::jthread([this] { Serve(); });
}

TracerThread::~TracerThread() {
  if (!started_) work_.set_value([] { return Result<>(); });
  end_.set_value();
}

Result<> TracerThread::Run(std::function<Result<>()> work) {
  BATON_CHECK(!std::exchange(started_, true));
  work_.set_value(std::move(work));
  return outcome_.get_future().get();
}

void TracerThread::Serve() {
  outcome_.set_value(work_.get_future().get()());
  end_.get_future().wait();
}

}  // namespace baton
