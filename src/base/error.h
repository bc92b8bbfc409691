// Errors as values. A fallible function returns Result<T> (result.h); its error is an Error: a code that callers branch
// on, the errno if a system call failed, and a message that grows by one piece of context per layer.
//
// Thread-safety: plain values.
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>
#include <utility>

namespace baton {

enum class ErrorCode {
  kNotFound,         // a thing that was named is not there
  kInvalidArgument,  // the caller (or the user) asked for nonsense
  kNotSupported,     // understood, cannot be done; the message says what and what to do
  kTaskGone,         // the traced task died; an ordinary event (task/)
  kCorrupt,          // bytes from outside are not what they must be
  kIo,               // a system call failed; see saved_errno()
  kConflict,         // taken: a pid, a name, a lock
  kUnavailable,      // not now: try again later or elsewhere
  kInternal,         // our own bug
};

// "not found", "corrupt", ...: for people.
std::string_view ErrorCodeName(ErrorCode code);

class [[nodiscard]] Error {
 public:
  Error(ErrorCode code, std::string message) : code_(code), message_(std::move(message)) {}
  Error(ErrorCode code, int saved_errno, std::string message)
      : code_(code), saved_errno_(saved_errno), message_(std::move(message)) {}

  ErrorCode code() const { return code_; }
  // 0 where no system call failed.
  int saved_errno() const { return saved_errno_; }
  // "outer context: inner context: what failed: strerror"
  std::string ToString() const;

  // Puts one layer of context in front: `return std::move(error).Context("pid {}", pid)`.
  template <typename... Args>
  Error Context(fmt::format_string<Args...> format, Args&&... args) && {
    message_ = fmt::format(format, std::forward<Args>(args)...) + ": " + message_;
    return std::move(*this);
  }

 private:
  ErrorCode code_;
  int saved_errno_ = 0;
  std::string message_;
};

ErrorCode CodeOfErrno(int saved_errno);

// The error of a failed system call. `saved_errno` must have been saved on the line after the call. ENOENT and ESRCH
// become kNotFound, ENOSYS and EOPNOTSUPP kNotSupported, EEXIST and EADDRINUSE kConflict, EAGAIN kUnavailable, the rest
// kIo.
template <typename... Args>
Error ErrnoError(int saved_errno, fmt::format_string<Args...> format, Args&&... args) {
  return {CodeOfErrno(saved_errno), saved_errno, fmt::format(format, std::forward<Args>(args)...)};
}

template <typename... Args>
Error MakeError(ErrorCode code, fmt::format_string<Args...> format, Args&&... args) {
  return {code, fmt::format(format, std::forward<Args>(args)...)};
}

}  // namespace baton
