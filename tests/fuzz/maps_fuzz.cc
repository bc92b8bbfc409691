#include <algorithm>

#include "fuzz_target.h"
#include "proc/maps.h"

namespace baton {

Result<> FuzzOne(std::string_view input) {
  auto entries = ParseMaps(input);
  if (!entries) return entries.Fail();
  BATON_CHECK(entries->size() <= static_cast<size_t>(std::ranges::count(input, '\n')) + 1);
  for (const MapsEntry& entry : *entries) {
    BATON_CHECK(entry.start < entry.end && entry.size() == entry.end - entry.start);
    BATON_CHECK(entry.path.size() <= input.size());
  }
  return {};
}

}  // namespace baton
