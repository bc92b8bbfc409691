#include "keeper/stop_and_capture.h"

#include "base/log.h"

namespace baton {
namespace {

constexpr int kAttempts = 5;

Result<> Once(UnitCapture& capture, const std::function<Result<>()>& stopped) {
  BATON_CHECKED(capture.Stop());
  BATON_CHECKED(stopped());
  return capture.Capture();
}

bool WorthAnotherTry(const Error& error) {
  return error.code() == ErrorCode::kTaskGone || error.code() == ErrorCode::kUnavailable;
}

}  // namespace

Result<> StopAndCapture(UnitCapture& capture, const std::function<Result<>()>& stopped) {
  for (int attempt = 1;; ++attempt) {
    auto captured = Once(capture, stopped);
    if (captured || attempt == kAttempts || !WorthAnotherTry(captured.error())) return captured;
    BATON_LOG(kInfo, "attempt {} to capture: {}", attempt, captured.error().ToString());
    BATON_CHECKED(capture.Resume());
  }
}

}  // namespace baton
