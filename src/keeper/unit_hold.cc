#include "keeper/unit_hold.h"

#include <sys/eventfd.h>

#include <cerrno>
#include <chrono>

#include "base/log.h"
#include "engine/engine.h"
#include "keeper/processes_below.h"
#include "thread/signals_blocked.h"

namespace baton {
namespace {

// Processes come and go while they are being stopped; after so many tries it is something else.
constexpr int kAttempts = 20;

Result<> StopAll(UnitCapture& capture) {
  for (int attempt = 1;; ++attempt) {
    auto stopped = capture.Stop();
    if (stopped || attempt == kAttempts) return stopped;
    const ErrorCode code = stopped.error().code();
    if (code != ErrorCode::kTaskGone && code != ErrorCode::kUnavailable) return stopped;
    BATON_CHECKED(capture.Resume());
  }
}

}  // namespace

Result<std::unique_ptr<UnitHold>> UnitHold::Begin(pid_t init_pid) {
  const int raw = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (const int error = errno; raw < 0) return ErrnoError(error, "eventfd");
  std::unique_ptr<UnitHold> hold(new UnitHold(UniqueFd(raw)));
  const SignalsBlocked in_the_new_thread;
  hold->thread_ = std::jthread([self = hold.get(), init_pid] { self->Hold(init_pid); });
  return hold;
}

UnitHold::~UnitHold() { let_go_.set_value(); }

std::optional<Result<>> UnitHold::stopped() {
  if (!outcome_here_.valid() || outcome_here_.wait_for(std::chrono::seconds(0)) != std::future_status::ready) {
    return std::nullopt;
  }
  return outcome_here_.get();
}

void UnitHold::Hold(pid_t init_pid) {
  auto let_go = let_go_.get_future();
  std::unique_ptr<UnitCapture> capture;
  const auto hold = [&]() -> Result<> {
    BATON_TRY(const auto engine, MakeEngine("native"));
    BATON_TRY(capture,
              engine->BeginCapture({.scope = CaptureRequest::Scope::kCapsule, .pid = init_pid, .externals = {}}));
    BATON_CHECKED(StopAll(*capture));
    DieWithTracer(init_pid);
    return {};
  };
  outcome_.set_value(hold());
  eventfd_write(event_.get(), 1);
  let_go.wait();
  // By the thread that stopped it. Destroying the capture does the same, but says nothing.
  if (capture != nullptr) {
    if (auto resumed = capture->Resume(); !resumed) BATON_LOG(kWarn, "{}", resumed.error().ToString());
  }
}

}  // namespace baton
