#include "controller/run_controller.h"

#include <poll.h>

#include "base/end_signals.h"

namespace baton {
namespace {

// Until a signal comes, or it cannot go on.
Result<> Serve(PoolController& controller, int signals) {
  while (true) {
    constexpr int kLookMs = 200;
    pollfd waiting{.fd = signals, .events = POLLIN, .revents = 0};
    if (poll(&waiting, 1, kLookMs) > 0) return {};
    if (auto failed = controller.failed()) return *failed;
  }
}

}  // namespace

Result<> RunController(const ControllerOptions& options, const Endpoint& listen,
                       const std::function<void(const Endpoint& endpoint)>& listening) {
  // Before any thread is made, so that none of them gets these signals.
  BATON_TRY(const UniqueFd signals, TakeEndSignals());
  // The lock and the rows come first: nobody is answered by a controller that does not know them.
  BATON_TRY(const auto controller, PoolController::Open(options));
  BATON_TRY(const std::string token, MakeToken(options.directory + "/token"));
  BATON_TRY(const auto server, RpcServer::Start(listen, token, controller.get()));
  listening(server->endpoint());
  return Serve(*controller, signals.get());
}

}  // namespace baton
