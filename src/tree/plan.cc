#include "tree/plan.h"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "tree/ancestry.h"
#include "tree/forest.h"
#include "tree/free_numbers.h"
#include "tree/sharing.h"

namespace baton {
namespace {

using Kind = TreeStep::Kind;
constexpr size_t kOutside = Forest::kOutside;
constexpr size_t kNone = Forest::kNone;

class Planner {
 public:
  Planner(const Forest& forest, Births births, FreeNumbers& numbers)
      : forest_(forest),
        births_(std::move(births)),
        numbers_(numbers),
        early_(forest.size()),
        late_(forest.size()),
        dead_target_(forest.size(), kNone) {}
  Result<TreePlan> Make(std::span<const TreeNode> nodes);

 private:
  // One that ends: its children become those of `target`.
  struct Temporary {
    pid_t pid = 0;
    pid_t parent = 0;
    size_t target = kNone;  // kNone: it has no children, or `dead_leader` knows
    size_t dead_leader = kNone;
  };
  struct Task {
    bool set_sid = false;  // else: be born
    size_t item = kNone;
  };

  void SortChildren();
  Result<> MakeBirths();
  Result<> Bear(size_t i);
  Result<pid_t> BirthParent(size_t i);
  Result<pid_t> AddTemporary(pid_t parent, size_t target, pid_t number = 0);
  void PushTasks(size_t i);
  Result<> MakeGroups();
  Result<> MakeGroup(pid_t number, const Forest::Group& group);
  bool LeaderGoes(const Forest::Group& group) const;
  void EndTemporaries();
  void Raise(size_t subreaper);
  pid_t pid(size_t i) const { return forest_.item(i).pid; }
  void Step(Kind kind, pid_t pid, pid_t other = 0, bool on = false) { plan_.steps.push_back({kind, pid, other, on}); }
  // Born before `under` made its own session?
  bool IsEarly(size_t i) const { return births_.session[i] != forest_.item(births_.under[i]).session; }

  const Forest& forest_;
  Births births_;
  FreeNumbers& numbers_;
  std::vector<std::vector<size_t>> early_, late_;              // by item: those born under it
  std::vector<size_t> dead_target_;                            // by dead leader: Temporary::target
  std::map<std::tuple<size_t, bool, size_t>, pid_t> between_;  // by under, early, target
  std::vector<Task> tasks_;                                    // the next one last
  std::vector<Temporary> temporaries_;
  size_t raised_ = kNone;
  TreePlan plan_;
};

void Planner::SortChildren() {
  for (size_t i = 1; i < forest_.size(); ++i) {
    const size_t under = births_.under[i];
    (IsEarly(i) ? early_ : late_)[under].push_back(i);
  }
}

void Planner::PushTasks(size_t i) {
  for (auto child = late_[i].rbegin(); child != late_[i].rend(); ++child) tasks_.push_back({false, *child});
  if (i != kOutside && forest_.IsLeader(i)) tasks_.push_back({true, i});
  for (auto child = early_[i].rbegin(); child != early_[i].rend(); ++child) tasks_.push_back({false, *child});
}

Result<> Planner::MakeBirths() {
  SortChildren();
  size_t born = 0;
  PushTasks(kOutside);
  while (!tasks_.empty()) {
    const Task task = tasks_.back();
    tasks_.pop_back();
    if (task.set_sid) {
      Step(Kind::kSetSid, pid(task.item));
      continue;
    }
    ++born;
    BATON_CHECKED(Bear(task.item));
    PushTasks(task.item);
  }
  if (born + 1 == forest_.size()) return {};
  return MakeError(ErrorCode::kInternal, "only {} of {} processes were planned", born, forest_.size() - 1);
}

Result<> Planner::Bear(size_t i) {
  if (forest_.IsDead(i)) {
    BATON_CHECKED(AddTemporary(pid(births_.under[i]), kNone, pid(i)));
    temporaries_.back().dead_leader = i;
    return {};
  }
  BATON_TRY(const pid_t parent, BirthParent(i));
  Step(Kind::kFork, pid(i), parent);
  return {};
}

// The process it is born under, if that is its parent in the end; else a temporary one in between.
Result<pid_t> Planner::BirthParent(size_t i) {
  const size_t under = births_.under[i];
  const size_t target = forest_.item(i).parent;
  if (target == under) return pid(under);
  if (forest_.IsDead(under)) {
    if (dead_target_[under] == kNone) dead_target_[under] = target;
    if (dead_target_[under] == target) return pid(under);
  }
  pid_t& between = between_[{under, IsEarly(i), target}];
  if (between == 0) {
    BATON_TRY(between, AddTemporary(pid(under), target));
  }
  return between;
}

Result<pid_t> Planner::AddTemporary(pid_t parent, size_t target, pid_t number) {
  const bool any = number == 0;
  if (any) {
    BATON_TRY(number, numbers_.Take());
  }
  Step(Kind::kFork, number, parent);
  plan_.temporaries.push_back({number, any});
  temporaries_.push_back({number, parent, target});
  return number;
}

// Then the group must not be gone before its members come.
bool Planner::LeaderGoes(const Forest::Group& group) const {
  return group.leader != kNone && std::ranges::find(group.members, group.leader) == group.members.end();
}

Result<> Planner::MakeGroup(pid_t number, const Forest::Group& group) {
  const pid_t member = pid(group.members.front());
  pid_t leader = number;
  if (group.leader == kNone) {
    BATON_TRY(leader, AddTemporary(member, kNone, number));
  }
  Step(Kind::kSetPgid, leader, number);
  const auto leads_other = [this](size_t i) { return forest_.groups().contains(pid(i)); };
  if (!LeaderGoes(group) || !std::ranges::all_of(group.members, leads_other)) return {};
  BATON_TRY(const pid_t keeper, AddTemporary(member, kNone));
  Step(Kind::kSetPgid, keeper, number);
  return {};
}

// All groups are made first: two leaders may be in each other's group.
Result<> Planner::MakeGroups() {
  for (const auto& [number, group] : forest_.groups()) BATON_CHECKED(MakeGroup(number, group));
  for (const auto& [number, group] : forest_.groups()) {
    for (const size_t i : group.members) {
      if (!forest_.groups().contains(pid(i))) Step(Kind::kSetPgid, pid(i), number);
    }
  }
  for (const auto& [number, group] : forest_.groups()) {
    if (LeaderGoes(group)) Step(Kind::kSetPgid, number, forest_.item(group.leader).group);
  }
  return {};
}

void Planner::Raise(size_t subreaper) {
  if (raised_ == subreaper) return;
  if (raised_ != kNone && raised_ != kOutside) Step(Kind::kSetSubreaper, pid(raised_), 0, false);
  if (subreaper != kNone && subreaper != kOutside) Step(Kind::kSetSubreaper, pid(subreaper), 0, true);
  raised_ = subreaper;
}

// The last born first: nobody is moved up while something below still has to stop on the way.
void Planner::EndTemporaries() {
  for (auto temporary = temporaries_.rbegin(); temporary != temporaries_.rend(); ++temporary) {
    const size_t dead = temporary->dead_leader;
    const size_t target = dead == kNone ? temporary->target : dead_target_[dead];
    if (target != kNone) Raise(target);
    if (target == kOutside) plan_.reaper_adopts = true;
    Step(Kind::kExit, temporary->pid, temporary->parent);
  }
  Raise(kNone);
}

Result<TreePlan> Planner::Make(std::span<const TreeNode> nodes) {
  BATON_CHECKED(MakeBirths());
  BATON_CHECKED(MakeGroups());
  EndTemporaries();
  for (const TreeNode& node : nodes) {
    if (node.subreaper) Step(Kind::kSetSubreaper, node.pid, 0, true);
  }
  return std::move(plan_);
}

}  // namespace

Result<TreePlan> PlanTree(std::span<const TreeNode> nodes, const TreeOutside& outside, std::span<const pid_t> avoid) {
  BATON_TRY(const Forest forest, Forest::Check(nodes, outside));
  BATON_TRY(Births births, FindBirths(forest));
  std::set<pid_t> used(avoid.begin(), avoid.end());
  used.insert({outside.reaper, outside.session.value_or(0), outside.group.value_or(0)});
  for (const TreeNode& node : nodes) used.insert({node.pid, node.pgid, node.sid});
  FreeNumbers numbers(std::move(used));
  BATON_TRY(TreePlan plan, Planner(forest, std::move(births), numbers).Make(nodes));
  return AddSharing(std::move(plan), nodes, outside, numbers);
}

}  // namespace baton
