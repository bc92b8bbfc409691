#include "tree/birth_search.h"

#include <algorithm>
#include <bit>

#include "base/check.h"

namespace baton {

BirthSearch::BirthSearch(std::vector<EntangledItem> items) : items_(std::move(items)) {
  BATON_CHECK(!items_.empty() && items_.size() <= kMaxItems);
}

// Whatever is above `above` is above all that is below `below`. False: they would be above themselves.
bool BirthSearch::Add(State& state, size_t above, size_t below) const {
  if (above == below || Has(state, above, below)) return false;
  if (Has(state, below, above)) return true;
  Row added = state.above[above];
  added[above / 64] |= uint64_t{1} << (above % 64);
  for (size_t i = 0; i < items_.size(); ++i) {
    if (i != below && !Has(state, i, below)) continue;
    for (size_t word = 0; word < added.size(); ++word) state.above[i][word] |= added[word];
  }
  return true;
}

bool BirthSearch::Begin(State& state) const {
  const size_t count = items_.size();
  state.above.assign(count, Row((count + 63) / 64));
  state.born_in.assign(count, EntangledItem::kNone);
  for (size_t i = 1; i < count; ++i) {
    const EntangledItem& item = items_[i];
    if (!Add(state, 0, i)) return false;
    if (item.parent != EntangledItem::kNone && !Add(state, item.parent, i)) return false;
    if (IsLeader(i)) continue;
    state.born_in[i] = item.session;
    if (!Add(state, item.session, i)) return false;
  }
  return true;
}

// Who stands between a process and the leader of the session it is born in was born in that session too.
bool BirthSearch::SettleOne(State& state, size_t i, bool& changed) const {
  const size_t session = state.born_in[i];
  if (session == EntangledItem::kNone) return true;
  for (const size_t between : AllAbove(state, i)) {
    if (between == session || !Has(state, between, session)) continue;
    size_t& born_in = state.born_in[between];
    if (born_in == session) continue;
    if (born_in != EntangledItem::kNone) return false;
    born_in = session;
    changed = true;
  }
  return true;
}

bool BirthSearch::Settle(State& state) const {
  for (bool changed = true; changed;) {
    changed = false;
    for (size_t i = 1; i < items_.size(); ++i) {
      if (!SettleOne(state, i, changed)) return false;
    }
  }
  return true;
}

// The topmost first, as far as they are related.
std::vector<size_t> BirthSearch::AllAbove(const State& state, size_t i) const {
  std::vector<std::pair<int, size_t>> found;
  for (size_t y = 0; y < items_.size(); ++y) {
    if (!Has(state, i, y)) continue;
    int depth = 0;
    for (const uint64_t word : state.above[y]) depth += std::popcount(word);
    found.emplace_back(depth, y);
  }
  std::ranges::sort(found);
  std::vector<size_t> result;
  result.reserve(found.size());
  for (const auto& [depth, y] : found) result.push_back(y);
  return result;
}

std::optional<std::pair<size_t, size_t>> BirthSearch::Unrelated(const State& state) const {
  for (size_t i = 1; i < items_.size(); ++i) {
    const std::vector<size_t> chain = AllAbove(state, i);
    for (size_t k = 1; k < chain.size(); ++k) {
      if (!Has(state, chain[k], chain[k - 1])) return std::pair{chain[k - 1], chain[k]};
    }
  }
  return std::nullopt;
}

BirthSearch::Outcome BirthSearch::Attempt(const State& state, size_t above, size_t below) {
  if (++attempts_ > kMaxAttempts) return Outcome::kGaveUp;
  State next = state;
  if (!Add(next, above, below)) return Outcome::kImpossible;
  return Search(std::move(next));
}

// Recursion is as deep as there are open choices, at most kMaxAttempts.
BirthSearch::Outcome BirthSearch::Search(State state) {
  if (!Settle(state)) return Outcome::kImpossible;
  const auto open = Unrelated(state);
  if (!open) {
    found_ = std::move(state);
    return Outcome::kFound;
  }
  auto [first, second] = *open;
  if (items_[second].rank < items_[first].rank) std::swap(first, second);
  const Outcome outcome = Attempt(state, first, second);
  return outcome == Outcome::kImpossible ? Attempt(state, second, first) : outcome;
}

BirthSearch::Outcome BirthSearch::Run() {
  State state;
  if (!Begin(state)) return Outcome::kImpossible;
  return Search(std::move(state));
}

size_t BirthSearch::LowestAbove(size_t i) const { return AllAbove(*found_, i).back(); }

}  // namespace baton
