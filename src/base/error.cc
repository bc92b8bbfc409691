#include "base/error.h"

#include <cerrno>
#include <cstring>

namespace baton {

std::string_view ErrorCodeName(ErrorCode code) {
  switch (code) {
    case ErrorCode::kNotFound:
      return "not found";
    case ErrorCode::kInvalidArgument:
      return "invalid argument";
    case ErrorCode::kNotSupported:
      return "not supported";
    case ErrorCode::kTaskGone:
      return "task gone";
    case ErrorCode::kCorrupt:
      return "corrupt";
    case ErrorCode::kIo:
      return "i/o error";
    case ErrorCode::kConflict:
      return "conflict";
    case ErrorCode::kUnavailable:
      return "unavailable";
    case ErrorCode::kInternal:
      return "internal error";
  }
  return "unknown error";
}

std::string Error::ToString() const {
  if (saved_errno_ == 0) return message_;
  return fmt::format("{}: {}", message_, strerrordesc_np(saved_errno_));
}

ErrorCode CodeOfErrno(int saved_errno) {
  switch (saved_errno) {
    case ENOENT:
    case ESRCH:
      return ErrorCode::kNotFound;
    case ENOSYS:
    case EOPNOTSUPP:
      return ErrorCode::kNotSupported;
    case EEXIST:
    case EADDRINUSE:
      return ErrorCode::kConflict;
    case EAGAIN:
      return ErrorCode::kUnavailable;
    default:
      return ErrorCode::kIo;
  }
}

}  // namespace baton
