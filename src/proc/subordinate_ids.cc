#include "proc/subordinate_ids.h"

#include <limits>
#include <string>

#include "proc/text.h"

namespace baton {

Result<std::vector<IdRange>> ParseSubordinateIds(std::string_view text, std::string_view name, uid_t uid) {
  std::vector<IdRange> ranges;
  const std::string number = std::to_string(uid);
  std::string_view line;
  while (proc_text::NextLine(&text, &line)) {
    proc_text::Scanner scanner(line);
    std::string_view owner;
    if (!scanner.Until(':', &owner)) owner = line;
    if (owner.empty() || (owner != name && owner != number)) continue;
    IdRange range;
    std::string_view first;
    const bool parsed = scanner.Until(':', &first) && proc_text::ParseNumber(first, &range.first) &&
                        proc_text::ParseNumber(scanner.rest(), &range.count);
    const bool sane = parsed && range.count > 0 && range.first > 0 &&
                      range.count <= std::numeric_limits<uint32_t>::max() - range.first;
    if (!sane) return proc_text::CorruptLine("not a range of ids", line);
    ranges.push_back(range);
  }
  return ranges;
}

}  // namespace baton
