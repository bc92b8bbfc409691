// Helpers of the parsers in this folder: lines, fields and numbers out of a text, without copying and without locale.
// Only for src/proc. Pure; views point into the text that was given.
#pragma once

#include <charconv>
#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"

namespace baton::proc_text {

// kCorrupt: "<what>: <the line, shortened and with unprintable bytes as \xNN>".
Error CorruptLine(std::string_view what, std::string_view line);

// Takes the next line, without its newline, off `text`. False at the end. A last line may lack its newline.
bool NextLine(std::string_view* text, std::string_view* line);

bool IsBlank(char c);  // space or tab
std::string_view TrimBlanks(std::string_view text);

// The whole of `text` is a number of `base` that fits T; no sign for an unsigned T, no "0x", no blanks.
template <std::integral T>
bool ParseNumber(std::string_view text, T* value, int base = 10) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *value, base);
  return error == std::errc() && end == text.data() + text.size();
}

bool ParseNumber(std::string_view text, double* value);

// "0x" and hexadecimal digits.
bool ParseHex0x(std::string_view text, uint64_t* value);

// Reads a line from left to right. Every method leaves the position where it was if it returns false.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : rest_(text) {}

  std::string_view rest() const { return rest_; }
  bool done() const { return rest_.empty(); }

  void SkipBlanks();
  // Up to the next blank or the end; empty if there is nothing. Blanks before it are skipped.
  std::string_view Word();
  bool Literal(std::string_view literal);
  // Up to `separator`, which is skipped.
  bool Until(char separator, std::string_view* part);

  template <std::integral T>
  bool Number(T* value, int base = 10) {
    const auto [end, error] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), *value, base);
    if (error != std::errc()) return false;
    rest_.remove_prefix(static_cast<size_t>(end - rest_.data()));
    return true;
  }

  // A number that is a word of its own, blanks before it skipped.
  template <std::integral T>
  bool WordNumber(T* value, int base = 10) {
    const std::string_view before = rest_;
    if (ParseNumber(Word(), value, base)) return true;
    rest_ = before;
    return false;
  }

 private:
  std::string_view rest_;
};

// Splits "a,b,c"; an empty text is an empty list.
std::vector<std::string> SplitAt(char separator, std::string_view text);

// Decodes \NNN (three octal digits, below 256); any other backslash stays.
std::string DecodeOctalEscapes(std::string_view text);

// Takes `suffix` off the end of `text` if it is there.
bool StripSuffix(std::string_view suffix, std::string_view* text);

}  // namespace baton::proc_text
