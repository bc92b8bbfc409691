#include "proc/sched.h"

#include <cmath>

#include "proc/text.h"

namespace baton {

namespace {

using proc_text::CorruptLine;
using proc_text::Scanner;
using proc_text::TrimBlanks;

constexpr std::string_view kSwitches = "nr_switches";

// The first line holds the raw comm, which may itself be several lines with colons: nothing counts before the rule of
// dashes, which is longer than any comm (15 bytes).
bool SkipHeading(std::string_view* text) {
  constexpr size_t kLongerThanComm = 20;
  std::string_view line;
  while (proc_text::NextLine(text, &line)) {
    if (line.size() > kLongerThanComm && line.find_first_not_of('-') == std::string_view::npos) return true;
  }
  return false;
}

}  // namespace

std::optional<double> ProcSched::Find(std::string_view key) const {
  for (const auto& [own, value] : values) {
    if (own == key) return value;
  }
  return std::nullopt;
}

Result<ProcSched> ParseSched(std::string_view text) {
  ProcSched sched;
  bool has_switches = false;
  const std::string_view whole = text;
  if (!SkipHeading(&text)) return CorruptLine("no rule under the heading of sched", whole);
  std::string_view line;
  while (proc_text::NextLine(&text, &line)) {
    Scanner scanner(line);
    std::string_view key;
    if (!scanner.Until(':', &key)) continue;
    const std::string_view number = TrimBlanks(scanner.rest());
    double value = 0;
    if (!proc_text::ParseNumber(number, &value) || !std::isfinite(value))
      return CorruptLine("no number in sched", line);
    sched.values.emplace_back(TrimBlanks(key), value);
    if (sched.values.back().first != kSwitches) continue;
    has_switches = proc_text::ParseNumber(number, &sched.nr_switches);
    if (!has_switches) return CorruptLine("no whole number in sched", line);
  }
  if (!has_switches) return MakeError(ErrorCode::kCorrupt, "sched has no line \"{}\"", kSwitches);
  return sched;
}

}  // namespace baton
