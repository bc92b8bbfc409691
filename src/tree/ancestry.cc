#include "tree/ancestry.h"

#include <algorithm>
#include <set>
#include <string>

#include "tree/birth_search.h"

namespace baton {
namespace {

constexpr size_t kOutside = Forest::kOutside;
constexpr size_t kNone = Forest::kNone;
constexpr size_t kMaxNamed = 8;

// Who is above whom in the end, in constant time. A dead leader is nowhere.
class Places {
 public:
  explicit Places(const Forest& forest) : first_(forest.size()), last_(forest.size()), depth_(forest.size()) {
    const std::vector<size_t>& top_down = forest.top_down();
    std::vector<size_t> sizes(forest.size(), 1);
    for (auto i = top_down.rbegin(); i != top_down.rend(); ++i) sizes[forest.item(*i).parent] += sizes[*i];
    std::vector<size_t> next(forest.size(), 1);
    last_[kOutside] = sizes[kOutside];
    for (const size_t i : top_down) {
      const size_t parent = forest.item(i).parent;
      depth_[i] = depth_[parent] + 1;
      first_[i] = next[parent];
      next[parent] += sizes[i];
      last_[i] = first_[i] + sizes[i];
      next[i] = first_[i] + 1;
    }
  }
  bool IsAbove(size_t above, size_t below) const {
    return above != below && first_[above] <= first_[below] && first_[below] < last_[above];
  }
  size_t depth(size_t i) const { return depth_[i]; }

 private:
  std::vector<size_t> first_, last_, depth_;
};

class BirthFinder {
 public:
  explicit BirthFinder(const Forest& forest)
      : forest_(forest), places_(forest), adopted_(forest.size()), local_(forest.size(), kNone) {}
  Result<Births> Find();

 private:
  bool IsBornAtParent(size_t i) const;
  void CollectAdopted();
  bool IsSimple(size_t leader) const;
  size_t Lowest(size_t leader) const;
  void Mark(size_t i);
  void MarkEntangled();
  void MarkAdopted(size_t leader);
  Result<> SearchEntangled();
  Error Failure(BirthSearch::Outcome outcome) const;
  void Place(size_t i);

  const Forest& forest_;
  Places places_;
  // By session leader: members whose parent is not one of the session.
  std::vector<std::vector<size_t>> adopted_;
  std::vector<size_t> entangled_;
  std::vector<size_t> local_;  // index in entangled_
  Births births_;
};

// Not adopted: the parent is in the session and has always been, or leads it.
bool BirthFinder::IsBornAtParent(size_t i) const {
  const Forest::Item& item = forest_.item(i);
  const bool member = forest_.item(item.parent).session == item.session;
  return item.parent == item.session || (member && !forest_.IsLeader(item.parent));
}

void BirthFinder::CollectAdopted() {
  for (const size_t i : forest_.top_down()) {
    if (!forest_.IsLeader(i) && !IsBornAtParent(i)) adopted_[forest_.item(i).session].push_back(i);
  }
}

// The leader, or what a dead one must at least be born under.
size_t BirthFinder::Lowest(size_t leader) const {
  if (!forest_.IsDead(leader)) return leader;
  size_t lowest = kOutside;
  for (const size_t child : adopted_[leader]) {
    const size_t parent = forest_.item(child).parent;
    if (places_.depth(parent) > places_.depth(lowest)) lowest = parent;
  }
  return lowest;
}

// Each process that adopted members is above the leader (or could be) and was there before those.
bool BirthFinder::IsSimple(size_t leader) const {
  const size_t lowest = Lowest(leader);
  return std::ranges::all_of(adopted_[leader], [&](size_t child) {
    const size_t parent = forest_.item(child).parent;
    const bool fits = places_.IsAbove(parent, lowest) || (parent == lowest && forest_.IsDead(leader));
    return fits && !places_.IsAbove(child, lowest);
  });
}

void BirthFinder::Mark(size_t i) {
  if (i == kNone || local_[i] != kNone) return;
  local_[i] = entangled_.size();
  entangled_.push_back(i);
}

// With a process, all that rules 1 and 2 of ancestry.h say of it.
void BirthFinder::MarkEntangled() {
  Mark(kOutside);
  for (size_t leader = 0; leader < forest_.size(); ++leader) {
    if (IsSimple(leader)) continue;
    Mark(leader);
  }
  for (size_t next = 0; next < entangled_.size(); ++next) {
    const size_t i = entangled_[next];
    Mark(forest_.item(i).parent);
    Mark(forest_.item(i).session);
    if (forest_.IsLeader(i) && (i != kOutside || !IsSimple(i))) MarkAdopted(i);
  }
}

// One child of each parent says all, but for those that have marked processes below.
void BirthFinder::MarkAdopted(size_t leader) {
  std::set<size_t> parents;
  for (const size_t child : adopted_[leader]) {
    if (parents.insert(forest_.item(child).parent).second) Mark(child);
  }
}

Error BirthFinder::Failure(BirthSearch::Outcome outcome) const {
  std::string pids;
  size_t named = 0;
  for (const size_t i : entangled_) {
    if (i == kOutside) continue;
    if (++named > kMaxNamed) break;
    if (!pids.empty()) pids += ", ";
    pids += std::to_string(forest_.item(i).pid);
  }
  if (named > kMaxNamed) pids += ", ...";
  if (outcome == BirthSearch::Outcome::kImpossible) {
    return MakeError(ErrorCode::kNotSupported,
                     "nothing that processes can do gives these the parents and sessions they have: {}", pids);
  }
  return MakeError(ErrorCode::kNotSupported,
                   "the parents and sessions of these {} processes are too entangled to be made again: {}",
                   entangled_.size() - 1, pids);
}

Result<> BirthFinder::SearchEntangled() {
  MarkEntangled();
  if (entangled_.size() == 1) return {};
  if (entangled_.size() > BirthSearch::kMaxItems) return Failure(BirthSearch::Outcome::kGaveUp);
  std::vector<EntangledItem> items;
  for (const size_t i : entangled_) {
    const Forest::Item& item = forest_.item(i);
    items.push_back({item.pid, item.parent == kNone ? kNone : local_[item.parent], local_[item.session]});
  }
  BirthSearch search(std::move(items));
  const BirthSearch::Outcome outcome = search.Run();
  if (outcome != BirthSearch::Outcome::kFound) return Failure(outcome);
  for (size_t k = 1; k < entangled_.size(); ++k) {
    const size_t i = entangled_[k];
    births_.under[i] = entangled_[search.LowestAbove(k)];
    const size_t session = search.BornIn(k);
    if (session != EntangledItem::kNone) births_.session[i] = entangled_[session];
  }
  return {};
}

void BirthFinder::Place(size_t i) {
  const Forest::Item& item = forest_.item(i);
  size_t& under = births_.under[i];
  size_t& session = births_.session[i];
  if (forest_.IsLeader(i)) {
    if (under == kNone) under = forest_.IsDead(i) ? Lowest(i) : item.parent;
    if (session == kNone) session = forest_.item(under).session;
    return;
  }
  session = item.session;
  if (under != kNone) return;
  const bool parent_was_member = births_.session[item.parent] == item.session;
  under = IsBornAtParent(i) || parent_was_member ? item.parent : item.session;
}

Result<Births> BirthFinder::Find() {
  births_.under.assign(forest_.size(), kNone);
  births_.session.assign(forest_.size(), kNone);
  CollectAdopted();
  BATON_CHECKED(SearchEntangled());
  for (const size_t i : forest_.top_down()) Place(i);
  for (size_t i = 0; i < forest_.size(); ++i) {
    if (forest_.IsDead(i)) Place(i);
  }
  return std::move(births_);
}

}  // namespace

Result<Births> FindBirths(const Forest& forest) { return BirthFinder(forest).Find(); }

}  // namespace baton
