// The search behind FindBirths (see ancestry.h): a strict order "above" over the few processes that are entangled,
// closed under the rules. Internal to src/tree. Thread-safety: none.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

namespace baton {

// Item 0 is the outside, above everything.
struct EntangledItem {
  static constexpr size_t kNone = static_cast<size_t>(-1);

  int64_t rank = 0;        // a guess at the order of births, lower first (pids): only the order of attempts
  size_t parent = kNone;   // as in Forest
  size_t session = kNone;  // as in Forest; leaders and the outside: the item itself
};

class BirthSearch {
 public:
  enum class Outcome { kFound, kImpossible, kGaveUp };

  static constexpr size_t kMaxItems = 512;
  static constexpr size_t kMaxAttempts = 1024;

  // REQUIRES: 0 < items.size() <= kMaxItems; indices are in range.
  explicit BirthSearch(std::vector<EntangledItem> items);

  Outcome Run();

  // After kFound. The lowest of all above `i`; and the session that leader `i` must be born in, or kNone if any will
  // do.
  size_t LowestAbove(size_t i) const;
  size_t BornIn(size_t i) const { return found_->born_in[i]; }

 private:
  using Row = std::vector<uint64_t>;
  struct State {
    std::vector<Row> above;  // [x] has y: y is above x
    std::vector<size_t> born_in;
  };

  static bool Has(const State& state, size_t below, size_t above) {
    return (state.above[below][above / 64] >> (above % 64) & 1) != 0;
  }
  bool IsLeader(size_t i) const { return items_[i].session == i; }
  bool Add(State& state, size_t above, size_t below) const;
  bool Begin(State& state) const;
  bool Settle(State& state) const;
  bool SettleOne(State& state, size_t i, bool& changed) const;
  std::vector<size_t> AllAbove(const State& state, size_t i) const;
  std::optional<std::pair<size_t, size_t>> Unrelated(const State& state) const;
  Outcome Search(State state);
  Outcome Attempt(const State& state, size_t above, size_t below);

  std::vector<EntangledItem> items_;
  size_t attempts_ = 0;
  std::optional<State> found_;
};

}  // namespace baton
