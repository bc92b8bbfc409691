#include "proc/text.h"

#include <fmt/format.h>

namespace baton::proc_text {

namespace {

constexpr size_t kQuotedBytes = 200;

bool IsOctal(char c) { return c >= '0' && c <= '7'; }

// The three digits at `at`, if they are an escape; -1 if not.
int OctalAt(std::string_view text, size_t at) {
  if (text.size() - at < 3 || text[at] > '3') return -1;
  if (!IsOctal(text[at]) || !IsOctal(text[at + 1]) || !IsOctal(text[at + 2])) return -1;
  return (text[at] - '0') * 64 + (text[at + 1] - '0') * 8 + (text[at + 2] - '0');
}

}  // namespace

Error CorruptLine(std::string_view what, std::string_view line) {
  std::string quoted;
  for (const char c : line.substr(0, kQuotedBytes)) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '\t' || (byte >= 0x20 && byte < 0x7f)) {
      quoted += c;
    } else {
      quoted += fmt::format("\\x{:02x}", byte);
    }
  }
  return MakeError(ErrorCode::kCorrupt, "{}: \"{}\"{}", what, quoted, line.size() > kQuotedBytes ? "..." : "");
}

bool NextLine(std::string_view* text, std::string_view* line) {
  if (text->empty()) return false;
  const size_t end = text->find('\n');
  *line = text->substr(0, end);
  text->remove_prefix(end == std::string_view::npos ? text->size() : end + 1);
  return true;
}

bool IsBlank(char c) { return c == ' ' || c == '\t'; }

std::string_view TrimBlanks(std::string_view text) {
  while (!text.empty() && IsBlank(text.front())) text.remove_prefix(1);
  while (!text.empty() && IsBlank(text.back())) text.remove_suffix(1);
  return text;
}

bool ParseNumber(std::string_view text, double* value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *value);
  return error == std::errc() && end == text.data() + text.size();
}

bool ParseHex0x(std::string_view text, uint64_t* value) {
  return text.starts_with("0x") && ParseNumber(text.substr(2), value, 16);
}

void Scanner::SkipBlanks() {
  while (!rest_.empty() && IsBlank(rest_.front())) rest_.remove_prefix(1);
}

std::string_view Scanner::Word() {
  SkipBlanks();
  size_t length = 0;
  while (length < rest_.size() && !IsBlank(rest_[length])) ++length;
  const std::string_view word = rest_.substr(0, length);
  rest_.remove_prefix(length);
  return word;
}

bool Scanner::Literal(std::string_view literal) {
  if (!rest_.starts_with(literal)) return false;
  rest_.remove_prefix(literal.size());
  return true;
}

bool Scanner::Until(char separator, std::string_view* part) {
  const size_t end = rest_.find(separator);
  if (end == std::string_view::npos) return false;
  *part = rest_.substr(0, end);
  rest_.remove_prefix(end + 1);
  return true;
}

std::vector<std::string> SplitAt(char separator, std::string_view text) {
  std::vector<std::string> parts;
  if (text.empty()) return parts;
  while (true) {
    const size_t end = text.find(separator);
    parts.emplace_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

std::string DecodeOctalEscapes(std::string_view text) {
  std::string decoded;
  decoded.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    const int octal = text[i] == '\\' ? OctalAt(text, i + 1) : -1;
    if (octal < 0) {
      decoded += text[i];
    } else {
      decoded += static_cast<char>(octal);
      i += 3;
    }
  }
  return decoded;
}

bool StripSuffix(std::string_view suffix, std::string_view* text) {
  if (!text->ends_with(suffix)) return false;
  text->remove_suffix(suffix.size());
  return true;
}

}  // namespace baton::proc_text
