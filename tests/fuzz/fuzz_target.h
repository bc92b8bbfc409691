// What one fuzz target (NAME_fuzz.cc) defines, and what holds for every reader of bytes from outside: any bytes give a
// value or an error of the right kind, at once, without touching anything else.
//
// libfuzzer_main.cc and replay_main.cc call FuzzOne() and trap where CheckAnswer() finds a broken promise.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "base/check.h"
#include "base/result.h"

namespace baton {

// Gives `input` to the reader, checks with BATON_CHECK what must hold of what it made of it, and returns the reader's
// error. Deterministic. `input` is exactly as long as its memory, so that a byte read too far is seen by ASan.
Result<> FuzzOne(std::string_view input);

// The error of `parsed`, or success.
template <typename T>
Result<> Outcome(Result<T> parsed) {
  if (!parsed) return parsed.Fail();
  return {};
}

// What every error must be: of a code that bad bytes may have, saying something, short, fit for a terminal.
inline void CheckAnswer(const Result<>& outcome) {
  constexpr size_t kLongestMessage = 4096;
  if (outcome) return;
  const ErrorCode code = outcome.error().code();
  BATON_CHECK(code == ErrorCode::kCorrupt || code == ErrorCode::kNotSupported || code == ErrorCode::kNotFound);
  const std::string message = outcome.error().ToString();
  BATON_CHECK(!message.empty() && message.size() <= kLongestMessage);
  for (const char c : message) {
    BATON_CHECK(static_cast<unsigned char>(c) >= 0x20 || c == '\t' || c == '\n');
  }
}

}  // namespace baton
