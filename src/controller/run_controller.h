// RunController: `baton controller` as a function: the controller until it is told to end.
//
// Thread-safety: call it from the main thread of a process that has no other; it takes over SIGINT and SIGTERM.
// Errors: kConflict if a controller runs there already, or another program listens at the address; kIo if the database
// cannot be written any more.
#pragma once

#include <functional>
#include <string>

#include "base/result.h"
#include "controller/pool_controller.h"
#include "rpc/endpoint.h"

namespace baton {

// `listening` hears where, once it answers.
Result<> RunController(const ControllerOptions& options, const Endpoint& listen,
                       const std::function<void(const Endpoint& endpoint)>& listening);

}  // namespace baton
