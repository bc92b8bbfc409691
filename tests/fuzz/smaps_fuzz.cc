#include "fuzz_target.h"
#include "proc/smaps.h"

namespace baton {

Result<> FuzzOne(std::string_view input) {
  auto entries = ParseSmaps(input);
  if (!entries) return entries.Fail();
  for (const SmapsEntry& entry : *entries) {
    BATON_CHECK(entry.mapping.start < entry.mapping.end);
    for (const auto& [name, size_kb] : entry.sizes_kb) BATON_CHECK(!name.empty());
    for (const auto& flag : entry.vm_flags) BATON_CHECK(!flag.empty() && entry.HasFlag(flag));
    BATON_CHECK(entry.sizes_kb.empty() || entry.SizeKb(entry.sizes_kb.front().first) == entry.sizes_kb.front().second);
  }
  return {};
}

}  // namespace baton
