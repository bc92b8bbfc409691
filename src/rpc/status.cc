#include "rpc/status.h"

#include <array>
#include <utility>

namespace baton {
namespace {

constexpr std::array<std::pair<ErrorCode, grpc::StatusCode>, 9> kCodes{{
    {ErrorCode::kNotFound, grpc::StatusCode::NOT_FOUND},
    {ErrorCode::kInvalidArgument, grpc::StatusCode::INVALID_ARGUMENT},
    {ErrorCode::kNotSupported, grpc::StatusCode::UNIMPLEMENTED},
    {ErrorCode::kTaskGone, grpc::StatusCode::OUT_OF_RANGE},
    {ErrorCode::kCorrupt, grpc::StatusCode::DATA_LOSS},
    {ErrorCode::kIo, grpc::StatusCode::UNKNOWN},
    {ErrorCode::kConflict, grpc::StatusCode::FAILED_PRECONDITION},
    {ErrorCode::kUnavailable, grpc::StatusCode::ABORTED},
    {ErrorCode::kInternal, grpc::StatusCode::INTERNAL},
}};

}  // namespace

grpc::Status StatusOf(const Error& error) {
  for (const auto& [ours, theirs] : kCodes) {
    if (ours == error.code()) return {theirs, error.ToString()};
  }
  return {grpc::StatusCode::INTERNAL, error.ToString()};
}

Error ErrorOf(const grpc::Status& status) {
  if (status.error_code() == grpc::StatusCode::UNAUTHENTICATED) {
    return {ErrorCode::kInvalidArgument, status.error_message()};
  }
  if (status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED) {
    return {ErrorCode::kUnavailable, "no answer from the controller"};
  }
  for (const auto& [ours, theirs] : kCodes) {
    if (theirs == status.error_code()) return {ours, status.error_message()};
  }
  return {ErrorCode::kUnavailable, status.error_message()};
}

}  // namespace baton
