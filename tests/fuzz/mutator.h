// Makes bad inputs out of good ones, the same ones in every run and on every machine.
// Thread-safety: as for a plain value.
#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <vector>

namespace baton {

class Mutator {
 public:
  // Takes pieces out of `seeds`, and words out of `words` too. REQUIRES: `seeds` is not empty.
  Mutator(uint64_t number, std::vector<std::string> seeds, std::vector<std::string> words);

  // A seed, changed by one to eight steps: bytes and bits changed, ranges cut out or doubled, lines dropped or
  // doubled, words or numbers put in, the end cut off, the head of one seed before the tail of another.
  std::string Next();

 private:
  using Step = void (Mutator::*)(std::string* text);

  // Below `bound`; 0 for a bound of 0. Not std::uniform_int_distribution: its numbers differ between libraries.
  size_t Below(size_t bound) { return bound == 0 ? 0 : static_cast<size_t>(random_() % bound); }

  void FlipBit(std::string* text);
  void SetByte(std::string* text);
  void CutRange(std::string* text);
  void DoubleRange(std::string* text);
  void Truncate(std::string* text);
  void InsertWord(std::string* text);
  void ReplaceNumber(std::string* text);
  void DropLine(std::string* text);
  void DoubleLine(std::string* text);
  void Splice(std::string* text);

  std::mt19937_64 random_;
  std::vector<std::string> seeds_;
  std::vector<std::string> words_;
};

}  // namespace baton
