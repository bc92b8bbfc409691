#include "proc/swaps.h"

#include <cstdint>

#include "proc/text.h"

namespace baton {

namespace {

// "/dev/sda2   partition   2097148   0   -2"
bool IsSwapRow(std::string_view line) {
  proc_text::Scanner scanner(line);
  uint64_t size_kb = 0;
  uint64_t used_kb = 0;
  int priority = 0;
  return !scanner.Word().empty() && !scanner.Word().empty() && scanner.WordNumber(&size_kb) &&
         scanner.WordNumber(&used_kb) && scanner.WordNumber(&priority) && scanner.done();
}

}  // namespace

Result<bool> ParseSwapsAny(std::string_view text) {
  std::string_view line;
  if (!proc_text::NextLine(&text, &line)) return proc_text::CorruptLine("no heading in swaps", text);
  if (!line.starts_with("Filename")) return proc_text::CorruptLine("no heading in swaps", line);
  bool any = false;
  while (proc_text::NextLine(&text, &line)) {
    if (!IsSwapRow(line)) return proc_text::CorruptLine("not a row of swaps", line);
    any = true;
  }
  return any;
}

}  // namespace baton
