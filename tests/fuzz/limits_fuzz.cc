#include "fuzz_target.h"
#include "proc/limits.h"

namespace baton {

Result<> FuzzOne(std::string_view input) {
  auto limits = ParseLimits(input);
  if (!limits) return limits.Fail();
  for (const ProcLimit& limit : *limits) BATON_CHECK(!limit.name.empty());
  return {};
}

}  // namespace baton
