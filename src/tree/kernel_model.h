// Test only: the kernel's rules for parents, sessions and process groups, as a model to run plans and random histories
// on; and those for what tasks share (clone(2), unshare(2)). Written from the manual pages and
// kernel/{fork,exit,sys}.c, not from the planner. Each operation returns whether the kernel would allow it, and changes
// nothing if not.
#pragma once

#include <sys/types.h>

#include <algorithm>
#include <map>
#include <vector>

#include "tree/plan.h"

namespace baton {

class KernelModel {
 public:
  // `reaper` is in session and group of these numbers; it never dies and reaps at once.
  KernelModel(pid_t reaper, pid_t session, pid_t group) : reaper_(reaper) {
    processes_[reaper] = {.pid = reaper, .ppid = 0, .pgid = group, .sid = session};
  }

  // A number is taken as long as anything uses it: clone3(2) with set_tid, EEXIST.
  bool Taken(pid_t number) const {
    return std::ranges::any_of(processes_, [number](const auto& entry) {
      const TreeNode& process = entry.second;
      return process.pid == number || process.pgid == number || process.sid == number ||
             std::ranges::find(process.threads, number, &TreeThread::tid) != process.threads.end();
    });
  }
  bool Fork(pid_t parent, pid_t child) { return Clone(parent, child, {}); }

  struct CloneFlags {
    unsigned shares = 0;
    bool as_brother = false;
    int exit_signal = SIGCHLD;
  };
  // By a task: a process' first thread, or another one.
  bool Clone(pid_t by, pid_t child, const CloneFlags& flags) {
    const pid_t maker = ProcessOf(by);
    if (!Alive(maker) || Taken(child) || (maker == reaper_ && (flags.as_brother || flags.shares != 0))) return false;
    if ((flags.shares & Bit(kActions)) != 0 && (flags.shares & Bit(kMemory)) == 0) return false;
    const TreeNode& from = processes_.at(maker);
    TreeNode made{.pid = child, .ppid = maker, .pgid = from.pgid, .sid = from.sid, .exit_signal = flags.exit_signal};
    if (flags.as_brother) {
      made.ppid = from.ppid;
      made.exit_signal = from.exit_signal;
    }
    made.tables = Inherited(by, flags.shares);
    processes_[child] = std::move(made);
    return true;
  }
  bool CloneThread(pid_t by, pid_t tid, unsigned shares) {
    const pid_t process = ProcessOf(by);
    if (!Alive(process) || process == reaper_ || Taken(tid)) return false;
    const Tables tables = Inherited(by, shares | Bit(kMemory) | Bit(kActions));
    processes_.at(process).threads.push_back({tid, tables});
    return true;
  }
  bool EndThread(pid_t tid) {
    const pid_t process = ProcessOf(tid);
    if (process == 0 || process == tid) return false;
    std::erase_if(processes_.at(process).threads, [tid](const TreeThread& thread) { return thread.tid == tid; });
    return true;
  }
  bool Unshare(pid_t task, unsigned tables) {
    if (ProcessOf(task) == 0 || (tables & (Bit(kMemory) | Bit(kActions))) != 0) return false;
    Tables& own = *TablesOf(task);
    for (const Table table : {kFiles, kDirectories}) {
      if ((tables & Bit(table)) != 0) own[table] = ++last_table_;
    }
    return true;
  }
  bool SetSid(pid_t pid) {
    if (!Alive(pid) || GroupExists(pid)) return false;
    processes_.at(pid).sid = pid;
    processes_.at(pid).pgid = pid;
    return true;
  }
  bool SetPgid(pid_t pid, pid_t group) {
    if (!Alive(pid)) return false;
    TreeNode& process = processes_.at(pid);
    if (process.sid == pid) return false;
    const auto joins = [&](const auto& entry) { return entry.second.pgid == group && entry.second.sid == process.sid; };
    if (group != pid && std::ranges::none_of(processes_, joins)) return false;
    process.pgid = group;
    return true;
  }
  bool SetSubreaper(pid_t pid, bool on) {
    if (!Alive(pid)) return false;
    processes_.at(pid).subreaper = on;
    return true;
  }
  // The process becomes a zombie.
  bool Exit(pid_t pid) {
    if (!Alive(pid) || pid == reaper_) return false;
    processes_.at(pid).zombie = true;
    processes_.at(pid).subreaper = false;
    processes_.at(pid).tables = {};
    processes_.at(pid).threads.clear();
    const pid_t adopter = AdopterAbove(pid);
    for (auto& [number, child] : processes_) {
      if (child.ppid != pid) continue;
      child.ppid = adopter;
      child.exit_signal = SIGCHLD;
      if (adopter == reaper_ && !child.zombie) ++reaper_adopted_;
    }
    ReapForReaper();
    return true;
  }
  bool Reap(pid_t parent, pid_t pid) {
    if (parent == reaper_) return !processes_.contains(pid);
    const auto found = processes_.find(pid);
    if (!Alive(parent) || found == processes_.end() || !found->second.zombie || found->second.ppid != parent)
      return false;
    processes_.erase(found);
    return true;
  }
  bool Alive(pid_t pid) const {
    const auto found = processes_.find(pid);
    return found != processes_.end() && !found->second.zombie;
  }

  // All but the reaper.
  std::vector<TreeNode> Nodes() const {
    std::vector<TreeNode> nodes;
    for (const auto& [pid, process] : processes_) {
      if (pid != reaper_) nodes.push_back(process);
    }
    return nodes;
  }
  int reaper_adopted() const { return reaper_adopted_; }
  // The process that a task belongs to; 0: there is no such task.
  pid_t ProcessOf(pid_t task) const {
    for (const auto& [pid, process] : processes_) {
      if (pid == task) return pid;
      if (std::ranges::find(process.threads, task, &TreeThread::tid) != process.threads.end()) return pid;
    }
    return 0;
  }

 private:
  Tables* TablesOf(pid_t task) {
    TreeNode& process = processes_.at(ProcessOf(task));
    if (process.pid == task) return &process.tables;
    return &std::ranges::find(process.threads, task, &TreeThread::tid)->tables;
  }
  Tables Inherited(pid_t by, unsigned shares) {
    Tables tables = *TablesOf(by);
    for (size_t table = 0; table < kTables; ++table) {
      if ((shares >> table & 1U) == 0) tables[table] = ++last_table_;
    }
    return tables;
  }
  bool GroupExists(pid_t group) const {
    return std::ranges::any_of(processes_, [group](const auto& entry) { return entry.second.pgid == group; });
  }
  pid_t AdopterAbove(pid_t pid) const {
    pid_t at = processes_.at(pid).ppid;
    while (at != reaper_ && !processes_.at(at).subreaper) at = processes_.at(at).ppid;
    return at;
  }
  void ReapForReaper() {
    std::erase_if(processes_,
                  [this](const auto& entry) { return entry.second.zombie && entry.second.ppid == reaper_; });
  }

  pid_t reaper_;
  std::map<pid_t, TreeNode> processes_;
  int reaper_adopted_ = 0;
  int last_table_ = 0;
};

}  // namespace baton
