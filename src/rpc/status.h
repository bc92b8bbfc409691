// Errors as gRPC status codes and back, one to one.
//
// Thread-safety: free functions.
#pragma once

#include <grpcpp/support/status.h>

#include "base/result.h"

namespace baton {

grpc::Status StatusOf(const Error& error);
// REQUIRES: not OK. What gRPC itself says about a connection, and a time that ran out, is kUnavailable.
Error ErrorOf(const grpc::Status& status);

}  // namespace baton
