// Result<T>: a value or an Error, which the caller must look at. A thin must-check type over std::expected.
//
//   Result<UniqueFd> fd = OpenFile(path, O_RDONLY);
//   if (!fd) return fd.Fail("image {}", path);          // one layer of context
//   BATON_TRY(Mapping map, Mapping::OfFile(*fd, size));   // or: return the error as it is
//   BATON_CHECKED(map.Sync());                            // the same for Result<>
#pragma once

#include <expected>
#include <utility>

#include "base/error.h"

namespace baton {

template <typename T = void>
class [[nodiscard]] Result : public std::expected<T, Error> {
 public:
  using Base = std::expected<T, Error>;
  using Base::Base;
  // NOLINTNEXTLINE(google-explicit-constructor): `return error;` is the point.
  Result(Error error) : Base(std::unexpect, std::move(error)) {}
  // NOLINTNEXTLINE(google-explicit-constructor)
  Result(std::unexpected<Error> error) : Base(std::move(error)) {}

  // The error with one layer of context in front. REQUIRES: no value.
  template <typename... Args>
  std::unexpected<Error> Fail(fmt::format_string<Args...> format, Args&&... args) {
    return std::unexpected(std::move(this->error()).Context(format, std::forward<Args>(args)...));
  }
  // The error as it is. REQUIRES: no value.
  std::unexpected<Error> Fail() { return std::unexpected(std::move(this->error())); }
};

}  // namespace baton

#define BATON_CONCAT_INNER(a, b) a##b
#define BATON_CONCAT(a, b) BATON_CONCAT_INNER(a, b)
// Declares or assigns `lhs` from a Result, or returns its error from the enclosing function.
#define BATON_TRY(lhs, expression) BATON_TRY_INNER(BATON_CONCAT(baton_result_, __LINE__), lhs, expression)
// NOLINTBEGIN(bugprone-macro-parentheses): `lhs` may be a declaration, `result` is one.
#define BATON_TRY_INNER(result, lhs, expression)           \
  auto result = (expression);                              \
  if (!(result)) return std::unexpected((result).error()); \
  lhs = std::move(*(result))
// NOLINTEND(bugprone-macro-parentheses)
// Returns the error of a Result<> (or drops the value of another) from the enclosing function.
#define BATON_CHECKED(expression)                                                                         \
  do {                                                                                                    \
    if (auto baton_checked = (expression); !baton_checked) return std::unexpected(baton_checked.error()); \
  } while (0)
