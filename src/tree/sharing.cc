#include "tree/sharing.h"

#include <algorithm>
#include <csignal>
#include <map>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

namespace baton {
namespace {

using Kind = TreeStep::Kind;
constexpr size_t kNone = static_cast<size_t>(-1);
constexpr size_t kMaxHolders = 2048;
constexpr std::string_view kTableNames[kTables] = {"memory", "signal actions", "descriptors", "directories"};

// Only these can be given up.
bool CanUnshare(size_t table) { return table == kFiles || table == kDirectories; }

unsigned InCommon(const Tables& a, const Tables& b) {
  unsigned bits = 0;
  for (size_t table = 0; table < kTables; ++table) bits |= a[table] == b[table] ? 1U << table : 0U;
  // clone(2): CLONE_SIGHAND needs CLONE_VM.
  return (bits & Bit(kMemory)) != 0 ? bits : bits & ~Bit(kActions);
}

int CountOf(unsigned bits) { return __builtin_popcount(bits); }

// A task that holds tables while children are born.
struct Holder {
  enum class Sort {
    kFirst,     // the process' first thread as it is born, or the outside
    kUnshared,  // the same, after it has given up what it only hands on
    kThread,    // one of the unit's
    kHelper,    // a temporary thread
    kCarrier,   // a temporary child
  };
  Sort sort = Sort::kFirst;
  Tables tables{};
  pid_t pid = 0;
  bool late = false;          // kCarrier: made after setsid()
  int exit_signal = SIGCHLD;  // kCarrier
  size_t maker = kNone;       // in Process::holders; an earlier one
  bool after_unshare = false;
};

struct Process {
  const TreeNode* node = nullptr;  // none: temporary, or the outside
  pid_t parent = 0;
  bool late = false;  // born after its parent's setsid()
  Tables handed{};    // what its birth hands on; 0: nothing
  Tables born{};      // what its first thread has then
  Tables own{};       // and in the end
  std::vector<pid_t> children;
  std::vector<Holder> holders;     // each after its maker
  size_t holder_for_children = 0;  // of those that need nothing else: the first thread
};

class SharingPlanner {
 public:
  SharingPlanner(TreePlan plan, std::span<const TreeNode> nodes, const TreeOutside& outside, FreeNumbers& numbers)
      : plan_(std::move(plan)), outside_(outside), numbers_(numbers) {
    for (const TreeNode& node : nodes) nodes_[node.pid] = &node;
  }
  Result<TreePlan> Make();

 private:
  void ReadBirths();
  Result<> FindWays();
  Result<> FindWay(size_t table);
  Result<> Mark(Process& process, pid_t pid, size_t table, int number) const;
  std::map<int, size_t> CountHolders(size_t table) const;
  void NumberTables();
  Tables NeedOf(const Process& parent, pid_t child) const;
  Result<> FindHolders(pid_t pid);
  Result<std::vector<Holder>> Wanted(pid_t pid) const;
  Result<> AddClass(std::vector<Holder>& wanted, const Process& process, pid_t child) const;
  static bool MayMake(const Holder& maker, const Holder& made, bool outside);
  static void Place(Process& process, std::vector<Holder> wanted, bool outside);
  Result<> Verify(pid_t pid, const Process& process) const;
  Result<> EmitHolders(pid_t pid, bool late);
  Result<> EmitHolder(pid_t pid, Process& process, Holder& holder);
  Result<int> ExitSignal(const TreeStep& birth) const;
  Result<> EmitBirth(TreeStep step);
  void EmitEnds();
  static size_t HolderFor(const Process& process, const Tables& need, bool carrier);
  bool NeedsCarrier(pid_t pid, const Process& process, const Tables& need) const;
  Error Entangled(pid_t pid) const;
  bool IsOutside(pid_t pid) const { return pid == outside_.reaper; }

  TreePlan plan_;
  TreeOutside outside_;
  FreeNumbers& numbers_;
  std::map<pid_t, const TreeNode*> nodes_;
  std::map<pid_t, Process> processes_;  // the outside too
  std::vector<pid_t> born_;             // in order
  std::vector<TreeStep> steps_;
  std::vector<TreeStep> ends_;
  int last_unique_ = 0;
};

void SharingPlanner::ReadBirths() {
  std::set<pid_t> leaders;
  processes_[outside_.reaper];
  for (const TreeStep& step : plan_.steps) {
    if (step.kind == Kind::kSetSid) leaders.insert(step.pid);
    if (step.kind != Kind::kFork) continue;
    Process& process = processes_[step.pid];
    const auto node = nodes_.find(step.pid);
    if (node != nodes_.end()) process.node = node->second;
    process.parent = step.other;
    process.late = leaders.contains(step.other);
    processes_[step.other].children.push_back(step.pid);
    born_.push_back(step.pid);
  }
}

// How many processes have each.
std::map<int, size_t> SharingPlanner::CountHolders(size_t table) const {
  std::map<int, size_t> counts;
  for (const auto& [pid, node] : nodes_) {
    std::set<int> held{node->tables[table]};
    for (const TreeThread& thread : node->threads) held.insert(thread.tables[table]);
    for (const int number : held) ++counts[number];
  }
  counts.erase(0);
  return counts;
}

Result<> SharingPlanner::Mark(Process& process, pid_t pid, size_t table, int number) const {
  if (process.handed[table] != 0) {
    return MakeError(
        ErrorCode::kNotSupported,
        "processes above and below process {} share two different {} with one another; how that came about "
        "is not known, it cannot be made again",
        pid, kTableNames[table]);
  }
  const bool gives_up = CanUnshare(table) || process.node == nullptr || process.node->zombie;
  if (!gives_up && process.node->tables[table] != number) {
    return MakeError(ErrorCode::kNotSupported,
                     "processes above and below process {} share their {}, but not it: that cannot be made again", pid,
                     kTableNames[table]);
  }
  process.handed[table] = number;
  return {};
}

// From below: a table goes up until all that have it are below.
Result<> SharingPlanner::FindWay(size_t table) {
  const std::map<int, size_t> totals = CountHolders(table);
  if (totals.empty()) return {};
  std::map<pid_t, std::map<int, size_t>> below;
  for (auto pid = born_.rbegin(); pid != born_.rend(); ++pid) {
    Process& process = processes_.at(*pid);
    std::map<int, size_t> counts = std::move(below[*pid]);
    below.erase(*pid);
    if (process.node != nullptr) {
      std::set<int> held{process.node->tables[table]};
      for (const TreeThread& thread : process.node->threads) held.insert(thread.tables[table]);
      held.erase(0);
      for (const int number : held) ++counts[number];
    }
    for (const auto& [number, count] : counts) {
      if (count == totals.at(number)) continue;
      BATON_CHECKED(Mark(process, *pid, table, number));
      below[process.parent][number] += count;
    }
  }
  return {};
}

Result<> SharingPlanner::FindWays() {
  for (size_t table = 0; table < kTables; ++table) BATON_CHECKED(FindWay(table));
  return {};
}

// A number for everything, also for what nobody shares.
void SharingPlanner::NumberTables() {
  for (auto& [pid, process] : processes_) {
    for (size_t table = 0; table < kTables; ++table) {
      const bool stays = process.node != nullptr && !process.node->zombie;
      int own = stays ? process.node->tables[table] : process.handed[table];
      if (own == 0) own = --last_unique_;
      process.own[table] = own;
      process.born[table] = process.handed[table] != 0 ? process.handed[table] : own;
    }
  }
}

// What the maker of a child must have. Where the child gets nothing, what its parent has does as well as anything: all
// from before it gave up something, or all from after that.
Tables SharingPlanner::NeedOf(const Process& parent, pid_t child) const {
  const Tables& handed = processes_.at(child).handed;
  bool from_before = false;
  for (size_t table = 0; table < kTables; ++table) {
    from_before = from_before || (handed[table] == parent.born[table] && handed[table] != parent.own[table]);
  }
  Tables need = from_before ? parent.born : parent.own;
  for (size_t table = 0; table < kTables; ++table) {
    if (handed[table] != 0) need[table] = handed[table];
  }
  return need;
}

bool SharingPlanner::NeedsCarrier(pid_t pid, const Process& process, const Tables& need) const {
  return IsOutside(pid) || need[kMemory] != process.own[kMemory] || need[kActions] != process.own[kActions];
}

Error SharingPlanner::Entangled(pid_t pid) const {
  return MakeError(ErrorCode::kNotSupported,
                   "what process {}, its threads and its children share with one another is too entangled to be made "
                   "again",
                   pid);
}

Result<> SharingPlanner::AddClass(std::vector<Holder>& wanted, const Process& process, pid_t child) const {
  const pid_t parent = processes_.at(child).parent;
  const Tables need = NeedOf(process, child);
  if (need == process.own) return {};
  const Process& born = processes_.at(child);
  Holder holder;
  holder.tables = need;
  holder.sort = NeedsCarrier(parent, process, need) ? Holder::Sort::kCarrier : Holder::Sort::kHelper;
  holder.late = born.late;
  if (born.node != nullptr && born.node->ppid == parent) holder.exit_signal = born.node->exit_signal;
  const auto same = std::ranges::find(wanted, need, &Holder::tables);
  if (same == wanted.end()) {
    if (wanted.size() == kMaxHolders) return Entangled(parent);
    wanted.push_back(holder);
  } else if (holder.sort == Holder::Sort::kCarrier &&
             (same->late != holder.late || same->exit_signal != holder.exit_signal)) {
    return Entangled(parent);
  }
  return {};
}

Result<std::vector<Holder>> SharingPlanner::Wanted(pid_t pid) const {
  const Process& process = processes_.at(pid);
  std::vector<Holder> wanted;
  if (process.node != nullptr) {
    int unique = -1'000'000'000;
    if (process.node->threads.size() > kMaxHolders) return Entangled(pid);
    for (const TreeThread& thread : process.node->threads) {
      Holder holder;
      holder.sort = Holder::Sort::kThread;
      holder.pid = thread.tid;
      holder.tables = thread.tables;
      for (const Table table : {kFiles, kDirectories}) {
        if (holder.tables[table] == 0) holder.tables[table] = --unique;
      }
      holder.tables[kMemory] = process.own[kMemory];
      holder.tables[kActions] = process.own[kActions];
      wanted.push_back(holder);
    }
  }
  for (const pid_t child : process.children) BATON_CHECKED(AddClass(wanted, process, child));
  return wanted;
}

bool SharingPlanner::MayMake(const Holder& maker, const Holder& made, bool outside) {
  if (maker.sort != Holder::Sort::kCarrier) return !outside || made.sort == Holder::Sort::kCarrier;
  return made.sort == Holder::Sort::kCarrier && made.late == maker.late && made.exit_signal == maker.exit_signal;
}

// Always the one that has most in common with one that is there.
void SharingPlanner::Place(Process& process, std::vector<Holder> wanted, bool outside) {
  std::vector<int> most(wanted.size(), -1);
  const auto look_at = [&](size_t place) {
    for (size_t i = 0; i < wanted.size(); ++i) {
      const Holder& maker = process.holders[place];
      if (!MayMake(maker, wanted[i], outside)) continue;
      const int common = CountOf(InCommon(maker.tables, wanted[i].tables));
      if (common <= most[i]) continue;
      most[i] = common;
      wanted[i].maker = place;
    }
  };
  for (size_t place = 0; place < process.holders.size(); ++place) look_at(place);
  while (!wanted.empty()) {
    const auto best = std::ranges::max_element(most);
    const auto at = best - most.begin();
    Holder next = wanted[static_cast<size_t>(at)];
    most.erase(best);
    wanted.erase(wanted.begin() + at);
    next.after_unshare = process.holders[next.maker].after_unshare;
    process.holders.push_back(next);
    look_at(process.holders.size() - 1);
  }
}

// What a holder does not have from its maker is new: nobody before may have had it.
Result<> SharingPlanner::Verify(pid_t pid, const Process& process) const {
  std::set<std::pair<size_t, int>> seen;
  for (const Holder& holder : process.holders) {
    for (size_t table = 0; table < kTables; ++table) {
      const bool shared = holder.maker != kNone && process.holders[holder.maker].tables[table] == holder.tables[table];
      if (!seen.emplace(table, holder.tables[table]).second && !shared) return Entangled(pid);
    }
    const bool gone = holder.late && holder.maker == 0 && process.holder_for_children != 0;
    if (holder.sort == Holder::Sort::kCarrier && gone) return Entangled(pid);
  }
  return {};
}

Result<> SharingPlanner::FindHolders(pid_t pid) {
  Process& process = processes_.at(pid);
  process.holders.push_back({.sort = Holder::Sort::kFirst, .tables = process.born});
  if (process.born != process.own) {
    process.holders.push_back(
        {.sort = Holder::Sort::kUnshared, .tables = process.own, .maker = 0, .after_unshare = true});
    process.holder_for_children = 1;
  }
  BATON_TRY(std::vector<Holder> wanted, Wanted(pid));
  Place(process, std::move(wanted), IsOutside(pid));
  return Verify(pid, process);
}

size_t SharingPlanner::HolderFor(const Process& process, const Tables& need, bool carrier) {
  if (need == process.own) return process.holder_for_children;
  for (size_t i = process.holder_for_children + 1; i < process.holders.size(); ++i) {
    const Holder& holder = process.holders[i];
    if (holder.tables == need && (holder.sort == Holder::Sort::kCarrier) == carrier) return i;
  }
  return kNone;
}

Result<> SharingPlanner::EmitHolder(pid_t pid, Process& process, Holder& holder) {
  const Holder& maker = process.holders[holder.maker];
  TreeStep step{.other = pid, .by = maker.pid};
  if (!IsOutside(pid) || holder.maker != 0) step.shares = InCommon(maker.tables, holder.tables);
  if (holder.pid == 0) {
    BATON_TRY(holder.pid, numbers_.Take());
    plan_.temporaries.push_back({holder.pid, true});
  }
  step.pid = holder.pid;
  const bool carrier = holder.sort == Holder::Sort::kCarrier;
  step.kind = carrier ? Kind::kFork : Kind::kThread;
  step.as_brother = carrier && maker.sort == Holder::Sort::kCarrier;
  step.exit_signal = holder.exit_signal;
  steps_.push_back(step);
  if (carrier) ends_.push_back({.kind = Kind::kExit, .pid = holder.pid, .other = pid});
  if (holder.sort == Holder::Sort::kHelper) {
    ends_.push_back({.kind = Kind::kEndThread, .pid = holder.pid, .other = pid});
  }
  return {};
}

Result<> SharingPlanner::EmitHolders(pid_t pid, bool late) {
  Process& process = processes_.at(pid);
  for (const bool after_unshare : {false, true}) {
    if (after_unshare && !late && process.holder_for_children != 0) {
      const unsigned lost = ~InCommon(process.born, process.own) & (Bit(kFiles) | Bit(kDirectories));
      steps_.push_back({.kind = Kind::kUnshare, .pid = pid, .shares = lost});
    }
    for (Holder& holder : process.holders) {
      const bool first = holder.sort == Holder::Sort::kFirst || holder.sort == Holder::Sort::kUnshared;
      if (first || holder.after_unshare != after_unshare) continue;
      if ((holder.sort == Holder::Sort::kCarrier && holder.late) != late) continue;
      BATON_CHECKED(EmitHolder(pid, process, holder));
    }
  }
  return {};
}

// Who is adopted sends SIGCHLD from then on.
Result<int> SharingPlanner::ExitSignal(const TreeStep& birth) const {
  const TreeNode* node = processes_.at(birth.pid).node;
  if (node == nullptr || node->exit_signal == SIGCHLD || node->ppid == birth.other) {
    return node == nullptr ? SIGCHLD : node->exit_signal;
  }
  return MakeError(ErrorCode::kNotSupported,
                   "process {} sends its parent signal {} when it ends (clone(2)), and cannot be made by that one",
                   birth.pid, node->exit_signal);
}

Result<> SharingPlanner::EmitBirth(TreeStep step) {
  const Process& child = processes_.at(step.pid);
  Process& parent = processes_.at(step.other);
  const Tables need = NeedOf(parent, step.pid);
  const bool carrier = need != parent.own && NeedsCarrier(step.other, parent, need);
  const size_t place = HolderFor(parent, need, carrier);
  if (place == kNone) return Entangled(step.other);
  const Holder& holder = parent.holders[place];
  step.by = holder.pid;
  step.as_brother = carrier;
  for (size_t table = 0; table < kTables; ++table) {
    if (child.handed[table] != 0) step.shares |= 1U << table;
  }
  BATON_TRY(step.exit_signal, ExitSignal(step));
  steps_.push_back(step);
  BATON_CHECKED(FindHolders(step.pid));
  return EmitHolders(step.pid, false);
}

void SharingPlanner::EmitEnds() {
  steps_.insert(steps_.end(), ends_.rbegin(), ends_.rend());
  ends_.clear();
}

Result<TreePlan> SharingPlanner::Make() {
  ReadBirths();
  BATON_CHECKED(FindWays());
  NumberTables();
  BATON_CHECKED(FindHolders(outside_.reaper));
  BATON_CHECKED(EmitHolders(outside_.reaper, false));
  size_t births = born_.size();
  for (const TreeStep& step : plan_.steps) {
    if (step.kind == Kind::kFork) {
      BATON_CHECKED(EmitBirth(step));
      if (--births == 0) EmitEnds();
      continue;
    }
    steps_.push_back(step);
    if (step.kind == Kind::kSetSid) BATON_CHECKED(EmitHolders(step.pid, true));
  }
  plan_.steps = std::move(steps_);
  return std::move(plan_);
}

bool IsPlain(const TreeNode& node) {
  return node.tables == Tables{} && node.threads.empty() && node.exit_signal == SIGCHLD;
}

}  // namespace

Result<TreePlan> AddSharing(TreePlan plan, std::span<const TreeNode> nodes, const TreeOutside& outside,
                            FreeNumbers& numbers) {
  if (std::ranges::all_of(nodes, IsPlain)) return plan;
  return SharingPlanner(std::move(plan), nodes, outside, numbers).Make();
}

}  // namespace baton
