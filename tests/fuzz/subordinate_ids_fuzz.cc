#include "fuzz_target.h"
#include "proc/subordinate_ids.h"

namespace baton {

Result<> FuzzOne(std::string_view input) {
  auto ranges = ParseSubordinateIds(input, "ann", 1000);
  if (!ranges) return ranges.Fail();
  for (const IdRange& range : *ranges) BATON_CHECK(range.count > 0 && range.Contains(range.first));
  return {};
}

}  // namespace baton
