#include "proc/limits.h"

#include "proc/text.h"

namespace baton {

namespace {

using proc_text::CorruptLine;
using proc_text::TrimBlanks;

// The columns of proc_pid_limits(): "%-25s %-20s %-20s %-10s\n".
constexpr size_t kSoftColumn = 26;
constexpr size_t kHardColumn = 47;
constexpr size_t kUnitsColumn = 68;

bool ParseValue(std::string_view text, uint64_t* value) {
  *value = ProcLimit::kUnlimited;
  return text == "unlimited" || proc_text::ParseNumber(text, value);
}

bool ParseRow(std::string_view line, ProcLimit* limit) {
  if (line.size() < kUnitsColumn) return false;
  limit->name = TrimBlanks(line.substr(0, kSoftColumn));
  limit->units = TrimBlanks(line.substr(kUnitsColumn));
  return !limit->name.empty() &&
         ParseValue(TrimBlanks(line.substr(kSoftColumn, kHardColumn - kSoftColumn)), &limit->soft) &&
         ParseValue(TrimBlanks(line.substr(kHardColumn, kUnitsColumn - kHardColumn)), &limit->hard);
}

}  // namespace

Result<std::vector<ProcLimit>> ParseLimits(std::string_view text) {
  std::vector<ProcLimit> limits;
  std::string_view line;
  if (!proc_text::NextLine(&text, &line)) return limits;  // the process has just ended
  if (!line.starts_with("Limit ")) return CorruptLine("no heading in limits", line);
  while (proc_text::NextLine(&text, &line)) {
    if (!ParseRow(line, &limits.emplace_back())) return CorruptLine("not a row of limits", line);
  }
  return limits;
}

}  // namespace baton
