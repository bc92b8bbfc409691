#include "proc/smaps.h"

#include "proc/text.h"

namespace baton {

namespace {

using proc_text::CorruptLine;
using proc_text::Scanner;

// A mapping's line begins with "<hex>-", a detail line with "Name:". A name could be all hexadecimal letters, but none
// has a '-' in it before its colon.
bool IsMappingLine(std::string_view line) {
  const size_t digits = line.find_first_not_of("0123456789abcdef");
  return digits != 0 && digits != std::string_view::npos && line[digits] == '-';
}

void ParseFlags(std::string_view text, SmapsEntry* entry) {
  Scanner scanner(text);
  for (auto flag = scanner.Word(); !flag.empty(); flag = scanner.Word()) entry->vm_flags.emplace_back(flag);
}

// "Rss:    188 kB" is kept, "THPeligible:   0" is not; a number that is none is an error.
Result<> ParseDetail(std::string_view line, SmapsEntry* entry) {
  Scanner scanner(line);
  std::string_view name;
  if (!scanner.Until(':', &name) || name.empty()) return CorruptLine("neither a mapping nor a detail of one", line);
  if (name == "VmFlags") {
    ParseFlags(scanner.rest(), entry);
    return {};
  }
  uint64_t size_kb = 0;
  if (!scanner.WordNumber(&size_kb)) return CorruptLine("no number in a mapping's detail", line);
  if (scanner.Word() == "kB") entry->sizes_kb.emplace_back(name, size_kb);
  return {};
}

}  // namespace

bool SmapsEntry::HasFlag(std::string_view flag) const {
  for (const auto& own : vm_flags) {
    if (own == flag) return true;
  }
  return false;
}

uint64_t SmapsEntry::SizeKb(std::string_view name) const {
  for (const auto& [own, size_kb] : sizes_kb) {
    if (own == name) return size_kb;
  }
  return 0;
}

Result<std::vector<SmapsEntry>> ParseSmaps(std::string_view text) {
  std::vector<SmapsEntry> entries;
  std::string_view line;
  while (proc_text::NextLine(&text, &line)) {
    if (IsMappingLine(line)) {
      BATON_TRY(entries.emplace_back().mapping, ParseMapsLine(line));
    } else if (entries.empty()) {
      return CorruptLine("detail before the first mapping", line);
    } else {
      BATON_CHECKED(ParseDetail(line, &entries.back()));
    }
  }
  return entries;
}

}  // namespace baton
