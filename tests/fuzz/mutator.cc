#include "mutator.h"

#include <algorithm>
#include <array>
#include <utility>

namespace baton {

namespace {

constexpr size_t kLargest = size_t{64} << 10;

// Numbers at the edges of the types that readers use.
constexpr std::array kNumbers = {"0",
                                 "-1",
                                 "2147483648",
                                 "4294967296",
                                 "9223372036854775808",
                                 "18446744073709551615",
                                 "18446744073709551616",
                                 "ffffffffffffffff",
                                 "10000000000000000",
                                 "1e999",
                                 "nan",
                                 "00000000000000000000000000000001"};

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// The line that holds `at`, with its newline: {begin, length}.
std::pair<size_t, size_t> LineAt(const std::string& text, size_t at) {
  const size_t before = at == 0 ? std::string::npos : text.rfind('\n', at - 1);
  const size_t begin = before == std::string::npos ? 0 : before + 1;
  const size_t end = text.find('\n', at);
  return {begin, end == std::string::npos ? text.size() - begin : end + 1 - begin};
}

}  // namespace

Mutator::Mutator(uint64_t number, std::vector<std::string> seeds, std::vector<std::string> words)
    : random_(number), seeds_(std::move(seeds)), words_(std::move(words)) {}

std::string Mutator::Next() {
  static constexpr std::array<Step, 10> kSteps = {
      &Mutator::FlipBit,    &Mutator::SetByte,       &Mutator::CutRange, &Mutator::DoubleRange, &Mutator::Truncate,
      &Mutator::InsertWord, &Mutator::ReplaceNumber, &Mutator::DropLine, &Mutator::DoubleLine,  &Mutator::Splice};
  constexpr size_t kMostSteps = 8;
  std::string text = seeds_[Below(seeds_.size())];
  for (size_t steps = Below(kMostSteps) + 1; steps > 0; --steps) (this->*kSteps[Below(kSteps.size())])(&text);
  if (text.size() > kLargest) text.resize(kLargest);
  return text;
}

void Mutator::FlipBit(std::string* text) {
  if (text->empty()) return;
  char& byte = (*text)[Below(text->size())];
  byte = static_cast<char>(static_cast<unsigned char>(byte) ^ (1U << Below(8)));
}

void Mutator::SetByte(std::string* text) {
  constexpr std::array kBytes = {'\0', '\n', '\t', ' ', ':', '-', '\\', '(', ')', '\x7f', '\xff', '0'};
  if (!text->empty()) (*text)[Below(text->size())] = kBytes[Below(kBytes.size())];
}

void Mutator::CutRange(std::string* text) {
  const size_t begin = Below(text->size());
  text->erase(begin, Below(std::min<size_t>(text->size() - begin, 64)) + 1);
}

void Mutator::DoubleRange(std::string* text) {
  const size_t begin = Below(text->size());
  text->insert(Below(text->size() + 1), text->substr(begin, Below(256) + 1));
}

void Mutator::Truncate(std::string* text) { text->resize(Below(text->size() + 1)); }

void Mutator::InsertWord(std::string* text) {
  if (!words_.empty()) text->insert(Below(text->size() + 1), words_[Below(words_.size())]);
}

void Mutator::ReplaceNumber(std::string* text) {
  const size_t begin = std::min(text->find_first_of("0123456789", Below(text->size())), text->size());
  size_t end = begin;
  while (end < text->size() && IsDigit((*text)[end])) ++end;
  text->replace(begin, end - begin, kNumbers[Below(kNumbers.size())]);
}

void Mutator::DropLine(std::string* text) {
  const auto [begin, length] = LineAt(*text, Below(text->size()));
  text->erase(begin, length);
}

void Mutator::DoubleLine(std::string* text) {
  const auto [begin, length] = LineAt(*text, Below(text->size()));
  const std::string line = text->substr(begin, length);
  text->insert(LineAt(*text, Below(text->size())).first, line);
}

void Mutator::Splice(std::string* text) {
  const std::string& other = seeds_[Below(seeds_.size())];
  text->resize(Below(text->size() + 1));
  text->append(other, Below(other.size() + 1));
}

}  // namespace baton
