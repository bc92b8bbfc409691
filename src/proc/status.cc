#include "proc/status.h"

#include <bitset>

#include "proc/text.h"

namespace baton {

namespace {

using proc_text::CorruptLine;
using proc_text::ParseNumber;
using proc_text::Scanner;

// proc_task_name() escapes exactly these two.
std::string DecodeName(std::string_view text) {
  std::string name;
  for (size_t i = 0; i < text.size(); ++i) {
    const char next = text[i] == '\\' && i + 1 < text.size() ? text[i + 1] : '\0';
    const bool escape = next == 'n' || next == '\\';
    name += next == 'n' ? '\n' : text[i];
    if (escape) ++i;
  }
  return name;
}

template <typename T>
bool ParseList(std::string_view text, std::vector<T>* list) {
  Scanner scanner(text);
  for (auto word = scanner.Word(); !word.empty(); word = scanner.Word()) {
    if (!ParseNumber(word, &list->emplace_back())) return false;
  }
  return true;
}

template <typename T>
bool ParseFour(std::string_view text, std::array<T, 4>* four) {
  Scanner scanner(text);
  for (T& one : *four) {
    if (!scanner.WordNumber(&one)) return false;
  }
  return scanner.done();
}

bool ParseMask(std::string_view text, uint64_t* mask) { return ParseNumber(text, mask, 16); }

bool ParseKb(std::string_view text, std::optional<uint64_t>* kb) {
  Scanner scanner(text);
  return scanner.WordNumber(&kb->emplace()) && scanner.Word() == "kB" && scanner.done();
}

bool ParseFlag(std::string_view text, bool* flag) {
  *flag = text == "1";
  return text == "1" || text == "0";
}

struct Line {
  std::string_view key;
  bool required;  // written by every kernel from 5.10 for every task, zombies and kernel threads included
  bool (*parse)(std::string_view value, ProcStatus* status);
};

using Value = std::string_view;
using Status = ProcStatus;

constexpr Line kLines[] = {
    {"Name", true, [](Value v, Status* s) { return s->name = DecodeName(v), true; }},
    {"Umask", false, [](Value v, Status* s) { return ParseNumber(v, &s->umask.emplace(), 8); }},
    {"State", true, [](Value v, Status* s) { return !v.empty() && (s->state = v.front(), true); }},
    {"Tgid", true, [](Value v, Status* s) { return ParseNumber(v, &s->tgid); }},
    {"Pid", true, [](Value v, Status* s) { return ParseNumber(v, &s->pid); }},
    {"PPid", true, [](Value v, Status* s) { return ParseNumber(v, &s->ppid); }},
    {"TracerPid", true, [](Value v, Status* s) { return ParseNumber(v, &s->tracer_pid); }},
    {"Uid", true, [](Value v, Status* s) { return ParseFour(v, &s->uid); }},
    {"Gid", true, [](Value v, Status* s) { return ParseFour(v, &s->gid); }},
    {"FDSize", true, [](Value v, Status* s) { return ParseNumber(v, &s->fd_size); }},
    {"Groups", true, [](Value v, Status* s) { return ParseList(v, &s->groups); }},
    {"NStgid", false, [](Value v, Status* s) { return ParseList(v, &s->ns_tgid); }},
    {"NSpid", false, [](Value v, Status* s) { return ParseList(v, &s->ns_pid); }},
    {"NSpgid", false, [](Value v, Status* s) { return ParseList(v, &s->ns_pgid); }},
    {"NSsid", false, [](Value v, Status* s) { return ParseList(v, &s->ns_sid); }},
    {"VmLck", false, [](Value v, Status* s) { return ParseKb(v, &s->vm_lck_kb); }},
    {"VmSwap", false, [](Value v, Status* s) { return ParseKb(v, &s->vm_swap_kb); }},
    {"Threads", true, [](Value v, Status* s) { return ParseNumber(v, &s->threads); }},
    {"SigPnd", true, [](Value v, Status* s) { return ParseMask(v, &s->sig_pnd); }},
    {"ShdPnd", true, [](Value v, Status* s) { return ParseMask(v, &s->shd_pnd); }},
    {"SigBlk", true, [](Value v, Status* s) { return ParseMask(v, &s->sig_blk); }},
    {"SigIgn", true, [](Value v, Status* s) { return ParseMask(v, &s->sig_ign); }},
    {"SigCgt", true, [](Value v, Status* s) { return ParseMask(v, &s->sig_cgt); }},
    {"CapInh", true, [](Value v, Status* s) { return ParseMask(v, &s->cap_inh); }},
    {"CapPrm", true, [](Value v, Status* s) { return ParseMask(v, &s->cap_prm); }},
    {"CapEff", true, [](Value v, Status* s) { return ParseMask(v, &s->cap_eff); }},
    {"CapBnd", true, [](Value v, Status* s) { return ParseMask(v, &s->cap_bnd); }},
    {"CapAmb", true, [](Value v, Status* s) { return ParseMask(v, &s->cap_amb); }},
    {"NoNewPrivs", true, [](Value v, Status* s) { return ParseFlag(v, &s->no_new_privs); }},
    {"Seccomp", false, [](Value v, Status* s) { return ParseNumber(v, &s->seccomp); }},
    {"Seccomp_filters", false, [](Value v, Status* s) { return ParseNumber(v, &s->seccomp_filters.emplace()); }},
    {"Cpus_allowed", true, [](Value v, Status* s) { return s->cpus_allowed = v, true; }},
};

constexpr size_t kLineCount = std::size(kLines);

size_t IndexOf(std::string_view key) {
  size_t index = 0;
  while (index < kLineCount && kLines[index].key != key) ++index;
  return index;
}

}  // namespace

const std::string* ProcStatus::Find(std::string_view key) const {
  for (const auto& [own, value] : others) {
    if (own == key) return &value;
  }
  return nullptr;
}

Result<ProcStatus> ParseStatus(std::string_view text) {
  ProcStatus status;
  std::bitset<kLineCount> seen;
  std::string_view line;
  while (proc_text::NextLine(&text, &line)) {
    Scanner scanner(line);
    std::string_view key;
    if (!scanner.Until(':', &key)) return CorruptLine("no colon in a line of status", line);
    // Not trimmed for "Name": a name may begin or end with a blank.
    const std::string_view value =
        key == "Name" && scanner.Literal("\t") ? scanner.rest() : proc_text::TrimBlanks(scanner.rest());
    const size_t index = IndexOf(key);
    if (index == kLineCount) {
      status.others.emplace_back(key, value);
    } else if (seen[index]) {
      return CorruptLine("second line of its kind in status", line);
    } else if (!kLines[index].parse(value, &status)) {
      return CorruptLine("bad value in status", line);
    } else {
      seen.set(index);
    }
  }
  for (size_t i = 0; i < kLineCount; ++i) {
    if (kLines[i].required && !seen[i])
      return MakeError(ErrorCode::kCorrupt, "status has no line \"{}:\"", kLines[i].key);
  }
  return status;
}

}  // namespace baton
